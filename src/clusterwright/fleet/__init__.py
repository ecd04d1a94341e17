"""A long run on a machine that breaks: failures, checkpoints, spares, what is left of the time."""
