"""An estimate whose pipeline terms come from an event engine instead of the closed form."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from clusterwright.training.estimate import TrainingEstimate


def with_pipeline_played(
    estimate: TrainingEstimate, seconds: Mapping[str, float]
) -> TrainingEstimate:
    """The same estimate with some terms of its waterfall replaced; all that follows is rescaled.

    ``seconds``: by name of the term. [s]
    """
    waterfall = tuple(
        msgspec.structs.replace(term, time=seconds.get(term.name, term.time))
        for term in estimate.waterfall
    )
    step_time = sum(term.time for term in waterfall)
    ratio = step_time / estimate.step_time
    low, high = estimate.step_time_interval
    return msgspec.structs.replace(
        estimate,
        step_time=step_time,
        step_time_interval=(low * ratio, high * ratio),
        tokens_per_second=estimate.tokens_per_second / ratio,
        mfu=estimate.mfu / ratio,
        mfu_full=estimate.mfu_full / ratio,
        hfu=estimate.hfu / ratio,
        waterfall=waterfall,
        closed_form_time=estimate.step_time,
    )
