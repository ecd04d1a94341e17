"""Measured kernels and runs to efficiency profiles, stack factors and intervals."""
