"""Answers for people: text now, pictures later."""
