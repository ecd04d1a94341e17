"""Predictions held against published, measured runs: read, ask, score."""
