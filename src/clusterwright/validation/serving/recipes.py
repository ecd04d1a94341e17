"""Server flags that publications set, from the catalogue: which of them hold for a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from clusterwright.records import Record
from clusterwright.validation.serving.rows import ServeRun


class Recipe(Record, frozen=True, kw_only=True):
    """One entry of ``catalogue/recipes``: which rows it holds for, and what it sets.

    ``engine``, ``model``, ``accelerator``, ``precision``, ``words``: fragments of the row's words,
    the last of its notes; ``since``,
    ``until``: of its date; the other selectors are exact. ``most`` and ``graph_rows`` may be the
    word ``users``, as many as the row has, or ``users - 1``. ``beside``: a step takes so many
    tokens more than one prompt and one of each user. ``runs``: engine of the catalogue, where the
    row's name of it leaves that open; ``instances``: copies of it that share the accelerators;
    ``rows``: whether each product was cut over the accelerators, not the layers; ``parts``: ranks
    that each accelerator was cut into. ``spread``: lengths are drawn evenly from what it leaves of
    the nominal one to all of it. ``requests``: that the client sent in all; ``settled``: whether it
    measured in windows once its users were at work; ``own_attention``: whether tensor-parallel
    ranks split sequences between them for attention. ``weights``: their format, where the row's
    word for it leaves open which. ``prompt``: tokens of prompts, where the row does not say them.
    """

    source: str
    engine: str = ""
    model: str = ""
    accelerator: str = ""
    precision: str = ""
    words: str = ""
    since: str = ""
    until: str = ""
    shape: str = ""
    tp: int | None = None
    disaggregated: bool | None = None
    users_from: int = 0
    users_to: int = 1 << 40
    budget: int | None = None
    beside: int | None = None
    most: int | str | None = None
    memory_share: float | None = None
    free_share: float | None = None
    cache: str | None = None
    poll_steps: int | None = None
    wait_steps: int | None = None
    wait_share: float | None = None
    stream_steps: int | None = None
    graph_rows: int | str | None = None
    spread: float | None = None
    prompt: float | None = None
    warm: bool | None = None
    moe: str | None = None
    shared_keys: bool | None = None
    overlap: bool | None = None
    runs: str | None = None
    instances: int | None = None
    rows: bool | None = None
    requests: int | None = None
    settled: bool | None = None
    own_attention: bool | None = None
    parts: int | None = None
    weights: str | None = None
    expert_rows: int | None = None
    note: str = ""

    def holds(self, run: ServeRun) -> bool:
        """Whether it says something about a row."""
        fragments = (
            (self.engine, run.engine),
            (self.model, run.model_name),
            (self.accelerator, run.accelerator),
            (self.precision, run.weight_precision),
            (self.words, run.notes),
        )
        users = run.batch or 0
        shape = f"{run.input_len or 0:g}/{run.output_len or 0:g}"
        return (
            self.source == run.source
            and all(part in text for part, text in fragments)
            and (not self.since or run.date >= self.since)
            and (not self.until or run.date <= self.until + "~")
            and self.shape in ("", shape)
            and self.tp in (None, run.tp)
            and self.disaggregated in (None, run.disaggregated)
            and self.users_from <= users <= self.users_to
        )


SETS = (
    "budget", "most", "memory_share", "free_share", "cache", "poll_steps", "wait_steps",
    "wait_share", "graph_rows", "shared_keys", "overlap", "runs", "instances", "rows", "spread",
    "requests", "settled", "own_attention",
    "parts", "expert_rows", "weights", "prompt",
)  # fmt: skip
"""What changes a prediction."""


def read_recipes(entries: Iterable[Mapping[str, Any]]) -> tuple[Recipe, ...]:
    """Read all recipes of the catalogue, from general to special."""
    return tuple(
        msgspec.convert(flags, Recipe) for entry in entries for flags in entry.get("flags", ())
    )


def flags_of(run: ServeRun, recipes: Iterable[Recipe]) -> dict[str, Any]:
    """What was set for a row: the last recipe that says so wins, key by key."""
    found: dict[str, Any] = {}
    for recipe in recipes:
        if recipe.holds(run):
            for name in SETS:
                value = getattr(recipe, name)
                if value is not None:
                    found[name] = _by_users(value, run.batch or 1)
            if recipe.beside is not None:
                found["budget"] = round(run.input_len or 0) + (run.batch or 1) + recipe.beside
    return found


def _by_users(value: Any, users: int) -> Any:  # noqa: ANN401 - flags are of several types
    """A flag's value for so many users, where it is said by them."""
    if value == "users - 1":
        return max(1, users - 1)
    return users if value == "users" else value
