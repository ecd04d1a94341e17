"""The models that claims may name: each turns what is given into named results.

A model is a function from `Given` to an `Answer`. What is given as a range is drawn, so that its
results are arrays. All are of the project's own formulas and verbs, never figures of a claim.
"""

from __future__ import annotations

from clusterwright.claims.models.answer import Answer, ClaimModel
from clusterwright.claims.models.facility import build, h100_equivalents, hall, prices, site
from clusterwright.claims.models.figures import (
    arithmetic,
    clusters_known,
    dates,
    growth,
    model_size,
)
from clusterwright.claims.models.handheld import device
from clusterwright.claims.models.serving import serving, serving_fleet, serving_gain
from clusterwright.claims.models.training import fleet, training_plan, training_time

MODELS: dict[str, ClaimModel] = {
    "arithmetic": arithmetic,
    "build": build,
    "clusters-known": clusters_known,
    "dates": dates,
    "device": device,
    "fleet": fleet,
    "growth": growth,
    "h100-equivalents": h100_equivalents,
    "hall": hall,
    "model-size": model_size,
    "prices": prices,
    "serving": serving,
    "serving-fleet": serving_fleet,
    "serving-gain": serving_gain,
    "site": site,
    "training-plan": training_plan,
    "training-time": training_time,
}
"""Models by the name that a claim gives."""

__all__ = ["MODELS", "Answer", "ClaimModel"]
