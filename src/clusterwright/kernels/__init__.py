"""Kernels of engines: measured parameters of each kind, and the time of a shape by them."""
