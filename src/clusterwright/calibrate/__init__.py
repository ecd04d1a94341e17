"""Efficiency profiles fitted to measured kernel times: read, drop the impossible, fit, report."""
