"""A plan as a file that one sends: the same contents as a page, a paper, pictures or plain text."""
