"""Predictions held against real small runs on this machine: training under torchrun, decoding."""
