"""Where an answer leads: what was asked of one page, as far as another page is asked it too."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from clusterwright.web.pages import BY_PATH

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
