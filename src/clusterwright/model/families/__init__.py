"""Readers of model configurations, one module per way of building a transformer.

`registry.READERS` maps a ``model_type`` to the function that reads it.
"""
