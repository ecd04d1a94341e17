"""A question answered on a device, or sent to a cluster: what stays, what is sent, what each takes.

On the device nothing is sent. Sent away, the text goes up and the answer comes down; weights and
cache are the cluster's. Then

    first token = round trip + cluster's first token,
    device's energy = radio's power · time until the answer is whole.

What it leaves out: setting up a connection, the radio's tail after the answer, frames around each
token that is streamed, the screen.
"""

from __future__ import annotations

from clusterwright.device import Device, Span
from clusterwright.serving.handheld import Offload
from clusterwright.serving.plan import ServingEstimate, ServingPlan
from clusterwright.traces.reading import CHARACTERS_PER_TOKEN


def offload(
    device: Device,
    found: ServingEstimate,
    plan: ServingPlan,
    *,
    round_trip: float,
    radio: Span,
    assumed: tuple[str, ...] = (),
) -> Offload:
    """Compare an answer of a device with one of a cluster.

    Parameters
    ----------
    device
        The phone, laptop or desktop.
    found
        What it does for the question.
    plan
        How the cluster answers it, among others'.
    round_trip
        Of the network. [s]
    radio
        Power of the device while it waits and receives. [W]
    assumed
        What stands in for what nobody published of either.
    """
    job, best = plan.question.workload, plan.best
    first, whole = (round_trip + one.mean for one in (best.ttft, best.latency))
    own = found.latency.mean
    return Offload(
        model=plan.question.model.name,
        accelerators=plan.question.cluster.accelerator.name,
        up=CHARACTERS_PER_TOKEN * job.prompt,  # of a byte each
        down=CHARACTERS_PER_TOKEN * job.output,
        round_trip=round_trip,
        first=first,
        whole=whole,
        own_first=found.ttft.mean,
        own_whole=own,
        own_energy=Span(low=device.power.low * own, high=device.power.high * own),
        radio_energy=Span(low=radio.low * whole, high=radio.high * whole),
        energy=None if best.energy is None else best.energy * job.output,
        cost=None if best.cost is None else best.cost * job.output / 1e6,
        assumed=assumed,
    )
