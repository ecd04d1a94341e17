"""What lies in the folder that is served: plans and studies, told by the heads of files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import msgspec

from clusterwright import __version__
from clusterwright.errors import ClusterwrightError, InputError
from clusterwright.facts import shipped
from clusterwright.records import Record
from clusterwright.report.deployment_text import pools_words
from clusterwright.report.text import strategy_words
from clusterwright.serving.server import Pool
from clusterwright.strategy import Strategy
from clusterwright.sweep.answered import is_running, read_answers
from clusterwright.units import format_time

PLAN, STUDY = ".json", ".sqlite"
PLAN_HEAD, STUDY_HEAD = b'{"version":"', b"SQLite format 3\x00"
"""How files of ours begin; others are left alone after so many bytes."""
MOST_ENTRIES, MOST_FOLDERS = 50_000, 200
"""Names that are looked at, and folders below the one that is served."""
MOST_HEADS, MOST_TRIED, MOST_SHOWN = 2000, 200, 100
"""Files whose head is read, the newest ones; plans, and studies, that are read; that are shown."""
LARGEST = 16 * 2**20
"""Of a plan that is shown in the list. [B]"""

BROKEN = (
    ClusterwrightError,
    sqlite3.Error,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
)
"""What reading a file may come to that only looks like ours."""

T = TypeVar("T")
Kind = Literal["training", "serving"]


class SavedPlan(Record, frozen=True, kw_only=True):
    """A plan as the list has it; ``takes``: its step time, or its accelerators."""

    path: str
    saved: str
    kind: Kind
    model: str
    machine: str
    how: str
    takes: str
    version: str
    catalogue: str

    @property
    def made_by(self) -> str:
        """Whether another version or other facts made it, in words."""
        return made_by(self.version, self.catalogue)


class SavedStudy(Record, frozen=True, kw_only=True):
    """The answers of a study as the list has them."""

    path: str
    saved: str
    question: str
    differs: str
    rows: int
    done: int
    running: bool
    version: str
    catalogue: str

    @property
    def made_by(self) -> str:
        """Whether another version or other facts made it, in words."""
        return made_by(self.version, self.catalogue)


class Listing(Record, frozen=True, kw_only=True):
    """Plans and studies, the newest first; ``more``: whether there are files that were left out."""

    plans: tuple[SavedPlan, ...]
    studies: tuple[SavedStudy, ...]
    more: bool


class _Found(NamedTuple):
    """A file that by its name could be ours; ``time``: when it was written. [s]"""

    time: float
    path: Path


def listed(folder: Path) -> Listing:
    """Read what lies in a folder and in those right below it."""
    entries, cut = _entries(folder)
    found = sorted(entries, reverse=True)
    heads = found[:MOST_HEADS]
    plans = [one for one in heads if one.path.suffix == PLAN and _begins(one.path, PLAN_HEAD)]
    studies = [one for one in heads if one.path.suffix == STUDY and _begins(one.path, STUDY_HEAD)]
    return Listing(
        plans=tuple(islice(_read(plans, _plan, folder), MOST_SHOWN)),
        studies=tuple(islice(_read(studies, _study, folder), MOST_SHOWN)),
        more=cut or len(found) > MOST_HEADS or max(len(plans), len(studies)) > MOST_SHOWN,
    )


def names_in(folder: Path, kind: str) -> list[str]:
    """Paths of the newest files of a kind: ``training``, ``serving``, ``study``, or any plan."""
    listing = listed(folder)
    if kind.startswith("study"):
        return [one.path for one in listing.studies]
    return [one.path for one in listing.plans if kind.startswith((one.kind, "plan"))]


def made_by(version: str, catalogue: str) -> str:
    """Who made a file, where this version with the facts of today would not say the same."""
    if version != __version__:
        return f"version {version}"
    if catalogue != shipped().hash:
        return "this version, with other facts"
    return "this version"


def plan_in(path: Path) -> _PlanHead:
    """What a plan says first, whichever version wrote it.

    Raises
    ------
    InputError
        It is no plan.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{str(path)!r} is larger than any plan")
        return msgspec.json.decode(path.read_bytes(), type=_PlanHead)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InputError(f"{str(path)!r} is no plan: {error}") from None


class _Named(msgspec.Struct):
    id: str = ""
    name: str = ""


class _Machine(msgspec.Struct):
    count: int
    accelerator: _Named


class _Question(msgspec.Struct):
    model: _Named
    cluster: _Machine
    engine: msgspec.Raw = msgspec.Raw()


class _Best(msgspec.Struct):
    accelerators: int = 0
    step_time: float = 0.0
    strategy: msgspec.Raw = msgspec.Raw()
    pools: msgspec.Raw = msgspec.Raw()


class _PlanHead(msgspec.Struct):
    """As much of a plan as the list has, in whatever else it differs."""

    version: str
    catalogue: str
    question: _Question
    best: _Best


def _plan(found: _Found, folder: Path) -> SavedPlan:
    head = plan_in(found.path)
    machine, best = head.question.cluster, head.best
    serves = bytes(head.question.engine) != b""
    count = best.accelerators if serves else machine.count
    return SavedPlan(
        path=found.path.relative_to(folder).as_posix(),
        saved=_day(found.time),
        kind="serving" if serves else "training",
        model=head.question.model.name,
        machine=f"{count:,} x {machine.accelerator.name or machine.accelerator.id}",
        how=_how(best),
        takes=f"{count:,} accelerators" if serves else f"{format_time(best.step_time)} a step",
        version=head.version,
        catalogue=head.catalogue,
    )


def _how(best: _Best) -> str:
    """A strategy, or replicas, in words; nothing where another version writes them otherwise."""
    with suppress(msgspec.DecodeError):
        if bytes(best.strategy):
            return strategy_words(msgspec.json.decode(best.strategy, type=Strategy))
    with suppress(msgspec.DecodeError):
        if bytes(best.pools):
            return pools_words(msgspec.json.decode(best.pools, type=tuple[Pool, ...]))
    return ""


def _study(found: _Found, folder: Path) -> SavedStudy:
    with read_answers(found.path) as store:
        stamp, study, rows = store.stamp(), store.study, store.table.count
        left = sum(end - first for first, end in store.gaps())
    axes = [f"{len(axis.cases)} x {axis.name.replace('_', ' ')}" for axis in study.axes]
    drawn = [f"{name.replace('_', ' ')} drawn" for name in study.uncertain]
    return SavedStudy(
        path=found.path.relative_to(folder).as_posix(),
        saved=_day(found.time),
        question=study.question,
        differs=", ".join([*axes, *drawn]),
        rows=rows,
        done=rows - left,
        running=is_running(found.path),
        version=stamp.get("version", ""),
        catalogue=stamp.get("catalogue", ""),
    )


def _day(time: float) -> str:
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M")


def _read(found: Iterable[_Found], read: Callable[[_Found, Path], T], folder: Path) -> Iterator[T]:
    """What can be read of the newest."""
    for one in islice(found, MOST_TRIED):
        # What only looks like ours is passed over, as all else in the folder is.
        with suppress(*BROKEN):
            yield read(one, folder)


def _entries(folder: Path) -> tuple[list[_Found], bool]:
    """Files of our kinds, and whether there were more names than are looked at."""
    files, folders, seen = _scanned(folder, MOST_ENTRIES)
    for place in sorted(folders)[:MOST_FOLDERS]:
        if seen < MOST_ENTRIES:
            more, _, count = _scanned(place, MOST_ENTRIES - seen)
            files += more
            seen += count
    return files, seen >= MOST_ENTRIES or len(folders) > MOST_FOLDERS


def _scanned(place: Path, most: int) -> tuple[list[_Found], list[Path], int]:
    """Files of our kinds and folders in one folder, and how many names were looked at.

    Links are left alone, and so are names that cannot be printed.
    """
    files: list[_Found] = []
    folders: list[Path] = []
    seen = 0
    with suppress(OSError), os.scandir(place) as entries:
        for seen, entry in enumerate(islice(entries, most), start=1):  # noqa: B007 - a count
            if entry.name.startswith(".") or not entry.name.isprintable():
                continue
            if entry.name.endswith((PLAN, STUDY)) and entry.is_file(follow_symlinks=False):
                files.append(_Found(entry.stat().st_mtime, place / entry.name))
            elif entry.is_dir(follow_symlinks=False):
                folders.append(place / entry.name)
    return files, folders, seen


def _begins(path: Path, head: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(head)) == head
    except OSError:
        return False
