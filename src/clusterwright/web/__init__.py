"""The local web product: a page is a command, its address what was asked.

`pages` names them; `forms` reads their fields from the command line's own options; `asking` makes
words of a query; `views` says what is shown of an answer; `worker` answers in a process of its
own, of which `pool` keeps a few; `app` joins them behind `guarding`. No number is computed here.
"""
