"""What a node is rated at and draws with nothing to do, and what stands in for it.

Nobody published the power of some accelerators: a default of their kind stands in, with a wide
range. A phone or laptop is a node of its own; its power is that of the whole device.
"""

from __future__ import annotations

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.facts import device_named, input_of, usual
from clusterwright.uncertain import Input, scaled


def rated_power(
    accelerator: str, nodes: list[Entry], catalogue: Catalogue, assumed: list[str]
) -> Input:
    """Rated power of a node per accelerator: its own, a usual one's, or from the boards'. [W]

    Raises
    ------
    InputError
        Nobody published what its accelerators draw, and nothing of their kind is known.
    """
    node = next((one for one in nodes if one.figure("max_power") is not None), None)
    if node is not None:
        size = int(node.data["accelerators"])
        return scaled(
            input_of(node.require("max_power"), why=f"rated power of {node.id}"), 1 / size
        )
    chip = catalogue.entry("accelerators", accelerator)
    board = _board_power(chip, catalogue, assumed)
    own = f"node-power-factor-{chip.text('kind')}"
    has_own = own in catalogue.entries("defaults")
    factor = usual(catalogue, own if has_own else "node-power-factor")
    assumed.append(f"a node draws {factor.value:g} times what its accelerators do at most")
    return Input(
        value=board.value * factor.value,
        low=board.low * factor.low,
        high=board.high * factor.high,
        dimension="W",
        why=f"{factor.why}, and the board power of {chip.id}",
    )


def device_power(
    accelerator: str, device: str, catalogue: Catalogue, assumed: list[str]
) -> tuple[str, Input]:
    """Kind and power of a device while a model runs: the one named, or one with the chip. [W]"""
    chip = catalogue.entry("accelerators", accelerator)
    every = catalogue.entries("devices")
    with_it = [name for name, one in every.items() if one.text("accelerator") == chip.id]
    if not device and not with_it:
        kind = "laptop" if chip.text("profile") == "apple-gpu" else "phone"
        assumed.append(f"the power of a usual {kind}, since nobody published that of {chip.id}")
        return kind, usual(catalogue, f"power-{kind}")
    found = device_named(catalogue, device or with_it[0])
    own = every[found.id].figure("power") is not None
    assumed.append(f"the power of {found.name if own else f'a usual {found.kind}'}")
    spread = Input(
        value=(found.power.low + found.power.high) / 2.0,
        low=found.power.low,
        high=found.power.high,
        dimension="W",
        why=f"{found.name} while a model runs",
    )
    return found.kind, spread


def idle_power(nodes: list[Entry], rated: Input, catalogue: Catalogue, assumed: list[str]) -> Input:
    """Power of a node with nothing to do, per accelerator. [W]"""
    for node in nodes:
        figure = node.figure("idle_power")
        if figure is not None:
            size = int(node.data["accelerators"])
            return scaled(input_of(figure, why=f"idle power of {node.id}"), 1 / size)
    share = usual(catalogue, "node-idle-share")
    assumed.append(f"an idle node draws {share.value:.0%} of its rated power")
    return Input(
        value=rated.value * share.value,
        low=rated.value * share.low,
        high=rated.value * share.high,
        dimension="W",
        why=share.why,
    )


def _board_power(chip: Entry, catalogue: Catalogue, assumed: list[str]) -> Input:
    """Of the accelerator, or of its kind where nobody published it."""
    figure = chip.figure("board_power")
    default = f"board-power-{chip.text('kind')}"
    if figure is not None or default not in catalogue.entries("defaults"):
        return input_of(chip.require("board_power"))
    found = usual(catalogue, default)
    assumed.append(
        f"{found.low:,.0f} to {found.high:,.0f} W an accelerator, since nobody published the power "
        f"of {chip.id}"
    )
    return found
