"""What is shown of each kind of answer: figures in the command line's words, and its pictures."""
