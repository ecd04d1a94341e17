"""What validation asks the catalogue: devices, machines, frameworks and models by printed name."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import ClusterwrightError
from clusterwright.model.config import load_config
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.software import Software
from clusterwright.training.api import software_named
from clusterwright.validation.runs import Run
from clusterwright.validation.shapes import plain_name


class DeviceName(Record, frozen=True, kw_only=True):
    """One entry of ``catalogue/measurements/accelerator_names.toml``."""

    all: tuple[str, ...]
    accelerator: str = ""
    devices: int = 1
    assumed: str = ""
    unsupported: str = ""


class Lookup:
    """The catalogue, indexed by what sources print; built once for a whole table."""

    def __init__(self, facts: Catalogue) -> None:
        self.facts = facts
        self.software = tuple(
            software_named(facts, identifier) for identifier in facts.entries("software")
        )
        self.devices = tuple(
            msgspec.convert(name, DeviceName)
            for entry in facts.entries("measurements").values()
            for name in entry.data.get("names", ())
        )
        self._model_ids = _model_index(facts.entries("models").values())
        self._models: dict[str, Model | None] = {}

    def device_of(self, printed: str) -> DeviceName | None:
        """Return the first entry whose fragments all occur in the printed name."""
        text = printed.lower()
        return next((d for d in self.devices if all(part in text for part in d.all)), None)

    def software_of(self, run: Run, vendor: str) -> Software | None:
        """Return the framework: the best match in the row's framework, else in its source.

        One that made all runs of the row's source comes first. A trainer wins over the library it
        stands on, a longer fragment over a shorter one; an entry with an empty fragment is the last
        resort.
        """
        usable = [
            s
            for s in self.software
            if (not s.vendors or vendor in s.vendors) and (not s.until or run.date <= s.until + "~")
        ]
        source = run.source.lower()
        makers = [s for s in usable if any(part in source for part in s.made)]
        if makers:
            return max(makers, key=lambda s: bool(s.until))
        for text in (run.framework.lower(), f"{run.source} {run.id}".lower()):
            ranked = [
                (s.priority, len(part), bool(s.until), -index)
                for index, s in enumerate(usable)
                for part in s.match
                if part and part in text
            ]
            if ranked:
                return usable[-max(ranked)[3]]
        return next((s for s in usable if "" in s.match), None)

    def model_of(self, printed: str) -> Model | None:
        """Return the catalogue's model of that name, or None."""
        name = plain_name(printed)
        if name not in self._models:
            found = self._model_ids.get(name)
            self._models[name] = self._read(found) if found else None
        return self._models[name]

    def _read(self, identifier: str) -> Model | None:
        """Read the model's configuration; one that cannot be read is as good as none."""
        config = self.facts.entries("models")[identifier].data.get("config_json")
        try:
            return load_config(config, name=identifier) if config else None
        except ClusterwrightError:
            return None


def _model_index(entries: Collection[Entry]) -> dict[str, str]:
    """Return plain name → id; an id wins over a name, a name over an alias."""
    index: dict[str, str] = {}
    for names in (lambda e: (e.id,), lambda e: (e.name,), lambda e: e.aliases):
        for entry in entries:
            for name in names(entry):
                index.setdefault(plain_name(name), entry.id)
    return index
