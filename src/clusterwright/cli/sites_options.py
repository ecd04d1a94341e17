"""Options of training over several sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cyclopts import Parameter

from clusterwright.errors import InputError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SitesOptions:
    """Over several sites, or in a swarm.

    Parameters
    ----------
    sites
        Instead of a cluster: sites x accelerators x name @ link, such as
        14x8xh100@500Mb/s/100ms,1000xrtx-4090@home-fibre.
    outer
        How sites average what they learnt: intellect-1, diloco, streaming-diloco, opendiloco, demo,
        data-parallel [default: intellect-1].
    inner_steps
        Steps that a site takes alone between two exchanges [default: the method's].
    exchange
        ring, butterfly, tree or server [default: the method's].
    stay
        Mean time for which a site takes part before it leaves, such as 2d [default: for ever].
    """

    sites: str | None = None
    outer: str | None = None
    inner_steps: str | None = None
    exchange: str | None = None
    stay: str | None = None

    @property
    def asked(self) -> bool:
        """Whether sites are named.

        Raises
        ------
        InputError
            An option of theirs without them.
        """
        for name, value in self.given().items():
            if self.sites is None and value is not None:
                option = f"--{name.replace('_', '-')}"
                raise InputError(
                    f"{option} is about several sites: name them, such as "
                    f"--sites 14x8xh100@500Mb/s/100ms"
                )
        return self.sites is not None

    def given(self) -> dict[str, Any]:
        """As keyword arguments of ``plan_sites``."""
        return {name: value for name, value in vars(self).items() if name != "sites"}
