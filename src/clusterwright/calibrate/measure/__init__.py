"""A machine measured with PyTorch: what to sweep, how to time it, and the entry it becomes."""
