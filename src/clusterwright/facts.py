"""What the catalogue says, as the records that verbs work with."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import msgspec

from clusterwright.catalogue.figures import Entry, Figure
from clusterwright.catalogue.store import Catalogue
from clusterwright.communication import CommunicationLibrary
from clusterwright.device import Device, DeviceKind, Span
from clusterwright.efficiency import PROVENANCE, EfficiencyProfile
from clusterwright.errors import CatalogueError, InputError, nearest_names
from clusterwright.hardware import Accelerator, Cluster
from clusterwright.inference import InferenceEngine
from clusterwright.links import Links, links_of
from clusterwright.records import Record
from clusterwright.uncertain import Input

T = TypeVar("T", bound=Record)


def from_entry(record: type[T], entry: Entry) -> T:
    """Make a record of an entry; provenance is left behind.

    Raises
    ------
    CatalogueError
        When a key is missing, unknown or of the wrong type; the message names it.
    """
    fields = record.__struct_fields__
    left = {"id", *PROVENANCE} - set(fields)
    data = {key: value for key, value in entry.data.items() if key not in left}
    try:
        return msgspec.convert(data, record)
    except msgspec.ValidationError as error:
        odd = next((key for key in data if key not in fields), "")
        near = nearest_names(odd, fields, count=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise CatalogueError(f"{entry.noun} {entry.id!r}: {error}{hint}") from None


@lru_cache(maxsize=1)
def shipped() -> Catalogue:
    """The catalogue that comes with the package."""
    return Catalogue()


@lru_cache(maxsize=64)
def _profile(catalogue: Catalogue, name: str) -> EfficiencyProfile:
    profile = from_entry(EfficiencyProfile, catalogue.entry("efficiency", name))
    return msgspec.structs.replace(profile, communication=library_of(catalogue, name))


def library_of(catalogue: Catalogue, profile: str) -> CommunicationLibrary | None:
    """The communication library that serves the chips of a profile, if the catalogue has one.

    Raises
    ------
    CatalogueError
        When a key is missing, unknown or of the wrong type; the message names it.
    """
    for entry in catalogue.entries("settings").values():
        if profile in entry.data.get("profiles", ()):
            return from_entry(CommunicationLibrary, entry)
    return None


def profile_of(catalogue: Catalogue, cluster: Cluster) -> EfficiencyProfile:
    """The efficiency profile that the cluster's accelerator follows."""
    chip = cluster.accelerator
    return _profile(catalogue, chip.profile or "generic-gpu").met_by(chip.num_units)


def links_on(cluster: Cluster, *, catalogue: Catalogue | None = None) -> Links:
    """The cluster's links as its chips' communication library drives them.

    >>> cluster = shipped().any_cluster("nv-h100-sxm", 16)
    >>> time = links_on(cluster).all_reduce(16.0, 1.0).time(2.0**33)
    >>> round(float(time) * 1e3)
    32
    """
    return links_of(cluster, profile_of(catalogue or shipped(), cluster))


def engine_named(catalogue: Catalogue, name: str) -> InferenceEngine:
    """An inference engine by id, with what was fitted of it.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    entry = catalogue.entry("inference", name)
    fitted = catalogue.entries("serving_stacks").get(entry.id)
    data = {key: value for key, value in entry.data.items() if key not in PROVENANCE - {"id"}}
    if fitted is not None:
        kept = {"id", "rows", "sources", "residual", "held_out", *PROVENANCE}
        data.update({key: value for key, value in fitted.data.items() if key not in kept})
    try:
        return msgspec.convert(data, InferenceEngine)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{entry.noun} {entry.id!r}: {error}") from None


def usual_engine(catalogue: Catalogue, chip: Accelerator, *, small: bool) -> str:
    """Id of the engine that a chip usually runs: the one named for it most closely.

    ``small``: whether it is a chip of a phone or laptop.
    """

    def closeness(entry: Entry) -> tuple[bool, bool] | None:
        named = entry.data.get("usual_small" if small else "usual", ())
        profiles = entry.data.get("profiles", ())
        own = chip.vendor in named
        if not (own or "any" in named) or (profiles and chip.profile not in profiles):
            return None
        return bool(profiles), own

    every = catalogue.entries("inference").values()
    ranked = [(close, entry.id) for entry in every if (close := closeness(entry)) is not None]
    return max(ranked)[1]


def span_of(figure: Figure) -> Span:
    """The range of a figure, or its one value."""
    low = figure.value if figure.low is None else figure.low
    return Span(low=low, high=figure.value if figure.high is None else figure.high)


def stand_in(entry: Entry) -> str:
    """How a default that stands in for what nobody published is named among what is assumed."""
    return f"{entry.name[0].lower()}{entry.name[1:]}: {entry.require('value').text}"


def device_named(catalogue: Catalogue, name: str) -> Device:
    """A phone, laptop or desktop by id or alias; usual figures stand in for those not published.

    What is usual depends on the kind of device; what a GPU may take of a memory that it shares, on
    the operating system.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    InputError
        It is not said what an app may take, nor what that could be told from.
    """
    entry = catalogue.entry("devices", name)
    usual = catalogue.entries("defaults")
    kind = entry.text("kind")
    assumed: list[str] = []

    def span(key: str, default: str) -> Span:
        figure = entry.figure(key)
        if figure is None:
            figure = usual[default].require("value")
            assumed.append(stand_in(usual[default]))
        return span_of(figure)

    if entry.figure("app_memory") is not None:
        app = span("app_memory", "")
    else:
        shared = f"app-share-{entry.text('system') or kind}"
        if shared not in usual:
            raise InputError(f"device {entry.id!r} has no `app_memory`: add it, or its `system`")
        memory, share = entry.require("memory").value, span("app_share", shared)
        app = Span(low=share.low * memory, high=share.high * memory)
    return Device(
        id=entry.id,
        name=entry.name,
        kind=msgspec.convert(kind, DeviceKind),
        accelerator=entry.text("accelerator"),
        app_memory=app,
        power=span("power", f"power-{kind}"),
        sustained_share=span("sustained_share", f"sustained-share-{kind}"),
        battery=entry.value("battery"),
        assumed=tuple(assumed),
    )


def input_of(figure: Figure, why: str = "", *, contested: bool = False) -> Input:
    """A figure as an input that lies in its range, if it has one.

    ``contested``: without a range, it lies between what its sources disagree about.
    """
    others = [other.value for other in figure.disagrees] if contested else []
    ends = [figure.value, *others]
    return Input(
        value=figure.value,
        low=min(ends) if figure.low is None else figure.low,
        high=max(ends) if figure.high is None else figure.high,
        dimension=figure.dimension,
        why=why or figure.source,
    )


def usual(catalogue: Catalogue, name: str) -> Input:
    """A default of the catalogue by id, with its range; its name says what it stands for."""
    entry = catalogue.entry("defaults", name)
    return input_of(entry.require("value"), why=entry.name)
