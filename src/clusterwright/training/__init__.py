"""Training: strategies as columns, their time and memory, the search over all of them."""
