"""Pins: choices that a person fixes before the search, from words to fields of `Strategy`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec

from clusterwright.errors import InputError, nearest_names
from clusterwright.model.records import Model
from clusterwright.strategy import Strategy


def parse_pins(pins: Sequence[str]) -> dict[str, int | str | bool]:
    """``["tp=8", "recompute=full"]`` to fields of `Strategy`.

    Raises
    ------
    InputError
        Not ``name=value``, an unknown name, or a value of the wrong kind.
    """
    found: dict[str, int | str | bool] = {}
    fields = {field.name: field for field in msgspec.structs.fields(Strategy)}
    for pin in pins:
        name, equals, text = pin.partition("=")
        name = name.strip().replace("-", "_")
        if not (equals and name and text.strip()):
            raise InputError(f"--pin {pin!r} should be name=value, such as --pin tp=8")
        if name not in fields:
            near = nearest_names(name, fields, count=1)
            offer = f"did you mean {near[0]}?" if near else f"choose from {', '.join(fields)}"
            raise InputError(f"--pin {pin}: a strategy has no {name!r}; {offer}")
        if name in found:
            raise InputError(f"--pin {name} is given twice; give it once")
        found[name] = _pin_value(name, text.strip(), fields[name].type)
    return found


def _pin_value(name: str, text: str, kind: Any) -> int | str | bool:  # noqa: ANN401 - a type
    choices = get_args(kind)
    if choices:
        if text not in choices:
            near = nearest_names(text, choices)
            offer = f"did you mean {near[0]}?" if near else f"choose from {', '.join(choices)}"
            raise InputError(f"--pin {name}={text}: {offer}")
        return text
    if kind is bool:
        if text.lower() not in ("true", "false", "on", "off", "1", "0"):
            raise InputError(f"--pin {name}={text}: write true or false")
        return text.lower() in ("true", "on", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f"--pin {name}={text}: write a whole number, such as {name}=8")
    return int(text)


def check_pins(model: Model, pins: Mapping[str, int | str | bool]) -> None:
    """Refuse pins that no strategy of the model can have.

    Raises
    ------
    InputError
        A size below 1, a sharding stage that does not exist, or layers or experts that the model
        lacks.
    """
    for name in ("tp", "cp", "pp", "vpp", "dp", "ep", "etp", "micro_batch"):
        if name in pins and pins[name] < 1:  # type: ignore[operator]
            raise InputError(f"--pin {name}={pins[name]}: write a whole number of at least 1")
    if pins.get("zero", 0) not in (0, 1, 2, 3):
        raise InputError(f"--pin zero={pins['zero']}: choose from 0, 1, 2, 3")
    if pins.get("recompute_layers") and pins.get("recompute", "full") != "full":
        raise InputError(
            f"--pin recompute_layers={pins['recompute_layers']} needs recompute=full, "
            f"not recompute={pins['recompute']}"
        )
    if pins.get("recompute_layers", 0) > model.num_layers:  # type: ignore[operator]
        raise InputError(
            f"--pin recompute_layers={pins['recompute_layers']}: {model.name} has "
            f"{model.num_layers} layers in all"
        )
    if not any(block.experts for block in model.blocks):
        for name in ("ep", "etp"):
            if pins.get(name, 1) != 1:
                raise InputError(f"--pin {name}={pins[name]}: {model.name} has no experts to cut")
