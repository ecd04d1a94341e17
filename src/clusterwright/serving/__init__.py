"""Serving a model: how long a step takes, what fits, and what a user gets of it."""
