"""What can go wrong, as one tree.

* ClusterwrightError                     (exit code 1)
  + InputError                           (2) what the person typed or wrote is not usable
    - UnknownNameError                   (2) no such model, accelerator, cluster … (nearest offered)
    - UnitError                          (2) a quantity without, or with the wrong, unit
    - ConfigError                        (2) a ``config.json`` that cannot be read as a transformer
    - TableError                         (2) a CSV that is truncated or foreign (line and column)
  + InfeasibleError                      (3) a sound question without an answer that fits
  + CatalogueError                       (4) a catalogue file that breaks its schema

Every message is one sentence: what is wrong, where, what would be right.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ClusterwrightError(Exception):
    """Any error that clusterwright raises on purpose; ``exit_code`` is what the CLI returns."""

    exit_code = 1


class InputError(ClusterwrightError):
    """What the person gave cannot be used as it stands."""

    exit_code = 2


class UnknownNameError(InputError):
    """A name that is not in the catalogue.

    Parameters
    ----------
    kind
        What was looked for: ``"accelerator"``, ``"cluster"`` …
    name
        What was typed.
    known
        The names that exist; the nearest ones are offered.
    listed
        What ``catalogue list`` calls the kind, where that is another word.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, listed: str = "") -> None:
        super().__init__(kind, name)
        self.kind = kind
        self.name = name
        self.known = sorted(known)
        self.listed = listed

    def __str__(self) -> str:
        # Only here: who asks whether a name is known, and goes on, needs no near ones.
        near = nearest_names(self.name, self.known)
        offer = f"did you mean {' or '.join(near)}?" if near else f"{len(self.known)} known"
        see = f"see `clusterwright catalogue list {self.listed or self.kind}`"
        return f"no {self.kind} called {self.name!r}: {offer} ({see})"


class UnitError(InputError):
    """A quantity that does not parse, or has the wrong dimension."""


class ConfigError(InputError):
    """A model configuration that cannot be read as a transformer."""


class TableError(InputError):
    """A CSV file that is truncated, foreign or has an impossible cell."""


class InfeasibleError(ClusterwrightError):
    """A sound question that has no answer which fits; the message says what would help."""

    exit_code = 3


class CatalogueError(ClusterwrightError):
    """A catalogue file that breaks its schema: path, entry, key, and the mend."""

    exit_code = 4


def nearest_names(name: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Return the known names nearest to what was typed, best first.

    >>> nearest_names("h100", ["nv-h100-sxm", "nv-a100-80-sxm", "tpu-v4"])
    ['nv-h100-sxm']
    """
    names = list(known)
    low = name.lower()
    inside = [n for n in names if low and low in n.lower()]
    close = difflib.get_close_matches(low, [n.lower() for n in names], n=count, cutoff=0.5)
    by_lower = {n.lower(): n for n in names}
    ordered = [*sorted(inside, key=len), *(by_lower[c] for c in close)]
    return list(dict.fromkeys(ordered))[:count]
