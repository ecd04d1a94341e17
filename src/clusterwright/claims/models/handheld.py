"""A function of a phone as work that it does: with tokens by a model, otherwise by its FLOP."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from clusterwright.asking_serving import ask_serving
from clusterwright.catalogue.store import Catalogue
from clusterwright.claims.given import Given
from clusterwright.claims.models.answer import Answer, Floats, drawn
from clusterwright.device import Device, Span
from clusterwright.errors import InputError
from clusterwright.facts import device_named
from clusterwright.planner_serving import deployment_of, estimate_serving
from clusterwright.serving.handheld import Handheld
from clusterwright.uncertain import Input
from clusterwright.units import format_quantity

UNITS = {"time": "s", "tokens": "1/s", "energy": "J", "battery": "1", "memory": "1"}


def device(given: Given) -> Answer:
    """What a function takes of a phone, laptop or desktop.

    With ``model``: ``prompt`` and ``output`` tokens of a use, on a conversation with the device.
    Without: ``work`` of a use at ``share`` of the chip's int8 peak, and ``memory`` that it takes.
    ``uses``: how often. Results: ``time`` of a use, hot [s], ``rate`` of uses one after the other
    [1/s], ``tokens`` of an answer a second [1/s], ``energy`` of a use [J], ``battery``: share of a
    full one that a day's uses take [1], ``memory``: share of what an app may take [1].
    """
    held = device_named(given.catalogue, given.text("device"))
    inputs = {
        "uses": given.quantity("uses", "1/s", "1/d"),
        "power": _input(held.power, "W"),
        "hot": _input(held.sustained_share, "1"),
        "app": _input(held.app_memory, "B"),
    }
    if given.has("model"):
        results, x, said = _by_tokens(given, held, inputs)
    else:
        results, x, said = _by_work(given, held, inputs)
    energy = results["time"] * x["power"]
    results |= {"rate": 1.0 / results["time"], "energy": energy}
    if held.battery is not None:
        results["battery"] = energy * x["uses"] * 86_400.0 / held.battery
    return Answer(results=results, dimensions=UNITS, assumed=(*said, *held.assumed))


Part = tuple[dict[str, Floats], dict[str, Floats], tuple[str, ...]]


def _by_tokens(given: Given, held: Device, inputs: dict[str, Input]) -> Part:
    model, weights = given.text("model"), given.text("weights", "q4-k-m")
    prompt, output = (given.quantity(name, "1").value for name in ("prompt", "output"))
    words = {"weights": weights, "prompt": prompt, "output": output}
    rates, taken = _talk(given.catalogue, held.id, model, tuple(words.items()))
    x = drawn(inputs)
    time = (prompt / rates.prompt_rate + output / rates.answer_rate) / x["hot"]
    results = {
        "time": time,
        "tokens": rates.answer_rate * x["hot"],
        "memory": taken / x["app"],
    }
    said = f"{rates.answer_rate:.3g} tokens/s at first, {format_quantity(taken, 'B')} of memory"
    return results, x, (said,)


def _by_work(given: Given, held: Device, inputs: dict[str, Input]) -> Part:
    chip = given.catalogue.accelerator(held.accelerator)
    peak = chip.peaks.get("int8")
    if not peak:
        raise InputError(f"nobody published the int8 rate of {chip.id}: name a 'model' instead")
    inputs |= {
        "work": given.quantity("work", "FLOP"),
        "share": given.quantity("share", "1"),
        "memory": given.quantity("memory", "B"),
    }
    x = drawn(inputs)
    time = x["work"] / (peak * x["share"] * x["hot"])
    said = f"{chip.name}: {format_quantity(peak, 'FLOP/s')} int8"
    return {"time": time, "memory": x["memory"] / x["app"]}, x, (said,)


@lru_cache(maxsize=32)
def _talk(
    catalogue: Catalogue, name: str, model: str, words: tuple[tuple[str, str | float], ...]
) -> tuple[Handheld, float]:
    """Rates of a conversation, and memory that model and cache take. [B]"""
    asked: dict[str, Any] = dict(words)
    question = ask_serving(model, device=name, catalogue=catalogue, **asked)
    found = estimate_serving(question, deployment_of(question), catalogue=catalogue)
    assert found.handheld is not None
    memory = found.memory
    tokens = question.workload.prompt + question.workload.output
    context = tokens / max(1.0, memory.cache_tokens) * memory.cache
    return found.handheld, memory.weights + memory.activations + context


def _input(span: Span, dimension: str) -> Input:
    middle = 0.5 * (span.low + span.high)
    return Input(value=middle, low=span.low, high=span.high, dimension=dimension)
