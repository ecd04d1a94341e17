"""From what a person types to a load of requests, and to how replicas are run for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clusterwright.asking import whole_number
from clusterwright.engines.requests.checks import ROUTERS
from clusterwright.errors import InputError, UnitError
from clusterwright.formulas.speculation import accepted_tokens
from clusterwright.inference import Deployment, Outage, Service
from clusterwright.units import parse
from clusterwright.workload import ServingWorkload

SLOWEST, FASTEST = 1e-9, 1e12
"""Rates from here on are slips of the pen. [1/s]"""


def make_load(
    *,
    rate: str | float | None = None,
    users: str | int | None = None,
    prompt: str | float | None = None,
    output: str | float | None = None,
    ttft: str | float | None = None,
    tpot: str | float | None = None,
    percentile: float = 90.0,
    spread: float = 0.0,
    prefix: str | float = 0,
) -> ServingWorkload:
    """A load of requests, from what a person types.

    Parameters
    ----------
    rate
        Requests a second, such as ``500/s`` or ``30k/min``.
    users
        Instead: so many, who each wait for their answer before they ask again.
    prompt, output
        Mean tokens.
    ttft, tpot
        Promised times, such as ``1s`` and ``50ms``; none is promised by default.
    percentile
        Of requests that find it kept.
    spread
        Standard deviation of both lengths over their means. [1]
    prefix
        Tokens with which every prompt begins.

    Raises
    ------
    InputError
        A number that cannot be.
    """
    if not 1.0 <= percentile < 100.0:
        raise InputError(
            f"--percentile is {percentile:g}, but must be 1 or more and below 100, such as 90: of "
            f"a hundred requests"
        )
    if not 0.0 <= spread <= 5.0:
        raise InputError(f"--spread is {spread:g}, but must be 0 or more, and 5 at most")
    if rate is not None and users is not None:
        raise InputError("--rate and --users both say how much is asked; give one of them")
    if prompt is None or output is None or (rate is None and users is None):
        given = {"--rate": rate or users, "--input": prompt, "--output": output}
        missing = next(name for name, value in given.items() if value is None)
        raise InputError(
            f"say what is asked of the model: {missing} is missing (--rate 5/s or --users 1, with "
            f"--input 1000 --output 200; or --trace FILE)"
        )
    words = float(whole_number(prompt, "--input"))
    common = float(whole_number(prefix, "--prefix")) if prefix not in (0, "0") else 0.0
    if common >= words:
        raise InputError(
            f"--prefix is {common:,.0f} of {words:,.0f} tokens: every prompt needs a token of its "
            f"own; --input counts the prefix too"
        )
    return ServingWorkload(
        rate=0.0 if rate is None else rate_of(rate),
        users=0 if users is None else whole_number(users, "--users"),
        prompt=words,
        output=float(whole_number(output, "--output")),
        prompt_spread=spread,
        output_spread=spread,
        prefix=common,
        ttft=time_of(ttft, "--ttft"),
        tpot=time_of(tpot, "--tpot"),
        percentile=percentile,
    )


def make_service(
    *,
    router: str = "",
    reuse: bool = True,
    scale: float | None = None,
    least: str | int = 1,
    load_time: str | float | None = None,
    outages: Sequence[str] = (),
) -> Service:
    """How replicas are run, from what a person types.

    Parameters
    ----------
    router
        ``round-robin``, ``least-loaded`` or ``prefix-aware``; by default what suits the requests.
    reuse
        Whether what a prompt's beginning left in the cache serves others that begin alike.
    scale
        Requests for each replica at which a scaler aims; by default all replicas are up.
    least
        Replicas that it leaves up.
    load_time
        Until a replica that it starts serves; by default an engine's start, and weights to load.
    outages
        Failures, such as ``60s+5min`` (at, and for how long) or ``60s+5min@3`` (replica 3, from 0).

    Raises
    ------
    InputError
        Something that makes no sense.

    Examples
    --------
    >>> make_service(outages=["60s+5min@3"]).outages
    (Outage(at=60.0, lasts=300.0, replica=3),)
    """
    if router and router not in ROUTERS:
        raise InputError(f"--router is {router!r}, but must be one of {', '.join(ROUTERS)}")
    if scale is not None and not 0.0 < scale < math.inf:
        raise InputError(f"--scale is {scale:g}, but must be above 0: requests for each replica")
    return Service(
        router=router,
        reuse=reuse,
        target=scale or 0.0,
        least=whole_number(least, "--least"),
        load_time=time_of(load_time, "--load-time") or 0.0,
        outages=tuple(_outage(one) for one in outages),
    )


def _outage(text: str) -> Outage:
    when, _, which = text.partition("@")
    at, plus, lasts = when.partition("+")
    if not plus or (which and not which.isdigit()):
        raise InputError(
            f"--outage is {text!r}, but must say when and for how long: 60s+5min, or 60s+5min@3 "
            f"for replica 3"
        )
    start = 0.0 if at.strip() in ("0", "0s") else time_of(at, "--outage")
    return Outage(at=start or 0.0, lasts=time_of(lasts, "--outage") or 0.0, replica=int(which or 0))


def rate_of(given: str | float, option: str = "--rate") -> float:
    """Requests a second, from what a person types. [1/s]

    >>> rate_of("30k/min"), rate_of(2)
    (500.0, 2.0)
    """
    text = str(given).strip()
    per = {"/s": 1.0, "/sec": 1.0, "/min": 60.0, "/h": 3600.0, "/day": 86400.0}
    for ending in sorted(per, key=len, reverse=True):
        if text.endswith(ending):
            return _possible(
                text, _positive(text.removesuffix(ending), option) / per[ending], option
            )
    return _possible(text, _positive(text, option), option)


def _possible(text: str, rate: float, option: str) -> float:
    if rate < SLOWEST:
        raise InputError(f"{option} is {text!r}, but must be {SLOWEST:g}/s or more")
    return rate


def _positive(text: str, option: str) -> float:
    usual = "requests a second, such as 500/s or 30k/min"
    try:
        value = parse(text.strip(), "1")
    except UnitError:
        raise UnitError(f"{option} is {text!r}, but must be {usual}") from None
    if not 0.0 < value < FASTEST:
        raise InputError(
            f"{option} is {text!r}, but must be above 0 and below {FASTEST:g}: {usual}"
        )
    return value


def time_of(given: str | float | None, option: str) -> float | None:
    """Seconds, from what a person types; None: nothing was. [s]"""
    if given is None:
        return None
    if isinstance(given, int | float):
        value = float(given)
    else:
        try:
            value = parse(given, "s")
        except UnitError as error:
            raise UnitError(f"{option}: {error}") from None
    if not 0.0 < value < math.inf:
        raise InputError(f"{option} is {given!r}, but must be above 0, such as 50ms")
    return value


def make_base(
    *,
    drafted: str | int = 0,
    acceptance: float | None = None,
    drafter: str = "layer",
    adapters: str | int = 0,
    adapter_rank: str | int = 16,
    budget: str | int = 0,
    most: str | int = 0,
    memory_share: float = 0.0,
    cache_tokens: str | int = 0,
    overlap: bool = False,
) -> Deployment:
    """What all deployments of a question have in common, from what a person types.

    Parameters
    ----------
    drafted
        Tokens that are proposed in each step of a sequence.
    acceptance
        Probability that one of them agrees with the model.
    drafter
        ``layer`` (MTP, EAGLE), ``ngram``, or the name of a smaller model.
    adapters, adapter_rank
        Low-rank adapters loaded, and their rank.
    budget, most, memory_share
        Tokens of a step, sequences at once, and share of the memory, over the engine's own.
    cache_tokens
        Room in a rank's cache, as an engine has printed it.
    overlap
        Whether batches are worked on in two halves, where the engine does so.

    Raises
    ------
    InputError
        A number that cannot be, or speculation without its acceptance.
    """
    counts = {"--draft": drafted, "--adapters": adapters, "--budget": budget, "--most": most}
    counts["--cache-tokens"] = cache_tokens
    num_drafted, num_adapters, tokens, sequences, room = (
        0 if value in (0, "0") else whole_number(value, name) for name, value in counts.items()
    )
    if num_drafted and acceptance is None:
        raise InputError(
            f"--draft {num_drafted} needs --acceptance: how often a drafted token agrees, such as "
            f"0.85 (DeepSeek-V3 says 0.85 to 0.90 of its own second token)"
        )
    if acceptance is not None and not 0.0 <= acceptance <= 1.0:
        raise InputError(f"--acceptance is {acceptance:g}, but must lie between 0 and 1")
    if acceptance is not None and not num_drafted:
        raise InputError("--acceptance is of drafted tokens: say how many, such as --draft 3")
    if not 0.0 <= memory_share <= 1.0:
        raise InputError(f"--memory-share is {memory_share:g}, but must lie between 0 and 1")
    kinds = {"layer": "layer", "ngram": ""}
    return Deployment(
        drafted=num_drafted,
        accepted=accepted_tokens(num_drafted, acceptance or 0.0),
        drafter=kinds.get(drafter, "model") if num_drafted else "",
        adapters=num_adapters,
        adapter_rank=whole_number(adapter_rank, "--adapter-rank"),
        budget=tokens,
        most=sequences,
        memory_share=memory_share,
        cache_tokens=float(room),
        overlap=overlap,
    )
