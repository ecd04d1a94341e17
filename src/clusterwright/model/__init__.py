"""Models: a config.json read into the shapes of its matrix products."""
