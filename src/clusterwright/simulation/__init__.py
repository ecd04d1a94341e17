"""Strategies of the cost model, played out by the pipeline engine.

The closed form and the engine share every cost (`training.pieces`); the engine puts the pipeline's
part together event by event, and the rest of the step follows it as in the closed form.
"""
