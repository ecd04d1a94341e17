"""What is shown of an answer, on a page and in a report alike: which pictures, in which order."""
