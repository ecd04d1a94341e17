"""A model on a phone, laptop or desktop of somebody's own: rates first and hot, energy, battery.

The device runs one conversation. Its first minutes are what the chip can do; then heat takes a
share of the rate. Power is that of the whole device, so that energy per token is power over rate:

    energy = power / rate,    battery share of n tokens = n energy / battery

What it leaves out: the screen and radio of other apps, the energy of a prompt apart from that of an
answer, and how long the device stays cool.
"""

from __future__ import annotations

from clusterwright.device import Device, Span
from clusterwright.engines.requests.simulator import Played
from clusterwright.errors import InputError
from clusterwright.records import Record


class Handheld(Record, frozen=True, kw_only=True):
    """What a device does for one conversation.

    ``prompt_rate``, ``answer_rate``: tokens a second in the first minutes; ``hot_prompt_rate``,
    ``hot_answer_rate``: after them. [1/s] ``energy``: of a token of an answer, hot. [J]
    ``battery_share``: of a full battery that a thousand of them take [1], None: it has none,
    or nobody published it. ``app_memory``: what an app may take. [B]
    """

    prompt_rate: float
    answer_rate: float
    hot_prompt_rate: Span
    hot_answer_rate: Span
    energy: Span
    battery_share: Span | None
    app_memory: Span


class Offload(Record, frozen=True, kw_only=True):
    """One question and its answer, by a device and by a cluster.

    ``model``, ``accelerators``: that answer in the cluster. ``up``, ``down``: text sent. [B]
    ``round_trip``: of the network; ``first``, ``whole``: until the first token and all of them,
    from the cluster; ``own_first``, ``own_whole``: from the device. [s] ``own_energy``,
    ``radio_energy``: of the device, if it answers and if it sends; ``energy``: of the cluster. [J]
    ``cost``: of the answer in the cluster [USD], None: no price was given.
    """

    model: str
    accelerators: str
    up: float
    down: float
    round_trip: float
    first: float
    whole: float
    own_first: float
    own_whole: float
    own_energy: Span
    radio_energy: Span
    energy: float | None
    cost: float | None
    assumed: tuple[str, ...] = ()


def handheld(device: Device, played: Played, prompt: float) -> Handheld:
    """Rates, energy and battery of a conversation that was played on a device.

    Parameters
    ----------
    device
        Where it ran.
    played
        Its requests, one after another.
    prompt
        Mean tokens of a prompt.

    Raises
    ------
    InputError
        All answers are of one token: there is none whose time could be told from the prompt's.
    """
    if not (played.output > 1).any():
        raise InputError(
            "a device's rate of answering needs answers of two tokens or more: --output 2"
        )
    prompt_rate = prompt / float(played.ttft.mean())
    answer_rate = float((played.output - 1).sum() / (played.finish - played.first).sum())
    share, power = device.sustained_share, device.power
    hot = _times(share, answer_rate)
    # The hotter device runs slower and draws less: power and rate fall together.
    energy = Span(
        low=min(power.low / hot.low, power.high / hot.high),
        high=max(power.low / hot.low, power.high / hot.high),
    )
    battery = device.battery
    return Handheld(
        prompt_rate=prompt_rate,
        answer_rate=answer_rate,
        hot_prompt_rate=_times(share, prompt_rate),
        hot_answer_rate=hot,
        energy=energy,
        battery_share=_times(energy, 1000.0 / battery) if battery else None,
        app_memory=device.app_memory,
    )


def _times(span: Span, factor: float) -> Span:
    return Span(low=span.low * factor, high=span.high * factor)
