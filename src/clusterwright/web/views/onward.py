"""Where an answer leads: what was asked of one page, as far as another page is asked it too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from clusterwright.errors import ClusterwrightError
from clusterwright.facts import shipped
from clusterwright.site.machine import Machine
from clusterwright.web.pages import BY_PATH
from clusterwright.web.view import Link, address

Said = Mapping[str, str]


def asked_too(path: str, said: Said, *, but: Collection[str] = ()) -> dict[str, str]:
    """What of a query the page at ``path`` has a field for; ``but``: fields that are left out."""
    fields = BY_PATH[path].form.fields
    return {name: value for name, value in said.items() if name in fields and name not in but}


def machine_asked(path: str, said: Said, used: int) -> dict[str, str]:
    """The machine of a run as ``fleet`` and ``site`` are asked for it, with what else they take.

    ``used``: accelerators that the run has, which may be fewer than there are.
    """
    target = {"target": said["cluster"]} if said.get("cluster") else {}
    return {**asked_too(path, said), **target, "accelerators": str(used)}


def building(machine: Machine) -> Iterator[Link]:
    """How long a site's machine takes to build, where a build of it can be asked for."""
    from clusterwright.asking_build import ask_build

    if machine.parts or machine.handheld:
        return
    cluster = machine.cluster
    known = shipped().entries("clusters").get(cluster.id)
    whole = known is not None and shipped().cluster(cluster.id).count == cluster.count
    name = cluster.id if whole else f"{cluster.count}x{cluster.accelerator.id}"
    try:
        ask_build(name)
    except ClusterwrightError:
        return  # what nobody published of such a machine cannot be asked here either
    yield Link(text="How long it takes to build", href=address("/build", {"cluster": name}))
