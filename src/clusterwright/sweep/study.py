"""A study as its file says it: what is asked, what differs from row to row, what is kept."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from clusterwright.asking import catalogue_with
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, nearest_names
from clusterwright.records import Record
from clusterwright.sweep.options import Option, Value, read_value
from clusterwright.sweep.questions import Question, question_named
from clusterwright.sweep.spreads import Spread, read_spread

Design = Literal["grid", "sobol", "monte-carlo"]
Case = dict[str, Value]
"""Options that are set together, by name."""

MOST_ROWS = 10_000_000
MOST_SAMPLES = 1_000_000
SAMPLES = {"grid": 0, "sobol": 256, "monte-carlo": 1024}
"""Samples of a design unless the study says how many."""


class Axis(Record, frozen=True, kw_only=True):
    """One axis of a grid: what each of its places sets, and what each is called."""

    name: str
    cases: tuple[Case, ...]
    labels: tuple[str, ...]


class Study(Record, frozen=True, kw_only=True):
    """One kind of question, many times over.

    ``options``: the same in all rows. ``axes``: of a grid; ``uncertain``: what is drawn, for each
    place of the grid, ``samples`` times by ``design`` from ``seed``. ``results``: those kept, none:
    all. ``least`` or ``most``: the result by which rows are ranked. ``catalogue``: files of facts
    of one's own, and ``files``: other files that are named, with their hashes, all relative to
    ``folder``.
    """

    question: str
    options: Case
    axes: tuple[Axis, ...] = ()
    uncertain: dict[str, Spread] = {}
    design: Design = "grid"
    samples: int = 0
    seed: int = 0
    results: tuple[str, ...] = ()
    least: str = ""
    most: str = ""
    catalogue: tuple[str, ...] = ()
    files: dict[str, str] = {}
    folder: str = ""

    @property
    def asks(self) -> Question:
        """The kind of question."""
        return question_named(self.question)

    @property
    def kept(self) -> dict[str, str]:
        """Results that are kept, by name, and their dimensions."""
        every = self.asks.results
        return {name: every[name] for name in self.results or every}

    @property
    def hash(self) -> str:
        """SHA-256 of all that answers depend on, wherever the file lies."""
        bare = msgspec.structs.replace(self, folder="", results=tuple(self.kept))
        # What is said of the answers in the end changes none of them.
        bare = msgspec.structs.replace(bare, least="", most="")
        return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()

    def facts(self) -> Catalogue:
        """The shipped catalogue with the study's own files."""
        return catalogue_with([Path(self.folder) / one for one in self.catalogue])

    @property
    def varied(self) -> list[str]:
        """Options that differ between rows, those of axes first."""
        names = [name for axis in self.axes for case in axis.cases for name in case]
        return list(dict.fromkeys([*names, *self.uncertain]))


def read_study(path: str | Path) -> Study:
    """Read a study's file.

    Raises
    ------
    InputError
        It cannot be read, or something in it is unknown, missing, or of the wrong kind; the message
        says where, and what would be right.
    """
    path = Path(path)
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} is not a TOML file: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read the study {str(path)!r}: {error.strerror}") from None
    try:
        return _decoded(written, path.parent)
    except InputError as error:
        raise InputError(f"study {path.name}: {error}") from None


KEYS = (
    "question", "options", "axes", "uncertain", "design", "samples", "seed", "results", "least",
    "most", "catalogue",
)  # fmt: skip


def _decoded(written: dict[str, Any], folder: Path) -> Study:
    _known(written, KEYS, "a study has no {name!r}")
    if "question" not in written:
        raise InputError('it does not say what is asked: write question = "plan train"')
    asks = question_named(str(written["question"]))
    own = tuple(_texts(written, "catalogue"))
    facts = catalogue_with([folder / one for one in own])
    reader = _Reader(asks, facts, str(written["question"]), folder)
    options = reader.case(_table(written, "options"), "[options]")
    axes = reader.axes(_table(written, "axes"))
    uncertain = reader.uncertain(_table(written, "uncertain"))
    _distinct(options, axes, uncertain)
    design, samples = _design(written, uncertain)
    study = Study(
        question=str(written["question"]),
        options=options,
        axes=axes,
        uncertain=uncertain,
        design=design,
        samples=samples,
        seed=_whole(written, "seed", 0, least=0),
        results=tuple(_result(one, asks) for one in _texts(written, "results")),
        least=_result(written.get("least", ""), asks),
        most=_result(written.get("most", ""), asks),
        catalogue=own,
        files=reader.files,
        folder=str(folder),
    )
    return _ranked(study)


def _ranked(study: Study) -> Study:
    """The study, once what it is ranked by is kept."""
    if study.least and study.most:
        raise InputError("least and most both say by what rows are ranked; give one of them")
    by = study.least or study.most
    if by and by not in study.kept:
        raise InputError(f"rows are ranked by {by!r}, which results leaves out: add it there")
    return study


class _Reader:
    """Reads the options of one kind of question, and hashes the files that they name."""

    def __init__(self, asks: Question, facts: Catalogue, name: str, folder: Path) -> None:
        self.asks, self.facts, self.name, self.folder = asks, facts, name, folder
        self.files: dict[str, str] = {}

    def option(self, written: str) -> str:
        """The name of an option, dashes or not."""
        name = written.replace("-", "_").lstrip("_")
        _known([name], self.asks.options, f"`{self.name}` has no option {{name!r}}")
        return name

    def value(self, name: str, written: Any, where: str) -> Value:  # noqa: ANN401 - TOML
        """One value of an option."""
        option = self.asks.options[name]
        if isinstance(written, list) and option.kind == "list":
            written = " ".join(map(str, written))
        if isinstance(written, list):
            mend = "a list of values belongs into [axes]"
            raise InputError(f"{where} {name} is a list: {mend}")
        if not isinstance(written, str | int | float):
            raise InputError(f"{where} {name} is {written}, but must be one value")
        return self._checked(option, written, name)

    def _checked(self, option: Option, written: Value, name: str) -> Value:
        path = self.folder / str(written)
        if option.kind in ("model", "text") and str(written).strip() and path.is_file():
            self.files[str(written)] = hashlib.sha256(path.read_bytes()).hexdigest()
            if option.kind == "model":
                read_value(option, str(path), name, self.facts)
            return written
        return read_value(option, written, name, self.facts)

    def case(self, written: Mapping[str, Any], where: str) -> Case:
        """Options that are set together."""
        found: Case = {}
        for key, value in written.items():
            name = self.option(key)
            if name in found:
                raise InputError(f"{where} has {name} twice, with a dash and without")
            found[name] = self.value(name, value, where)
        return found

    def axes(self, written: Mapping[str, Any]) -> tuple[Axis, ...]:
        """The axes of a grid."""
        return tuple(self._axis(key, values) for key, values in written.items())

    def _axis(self, key: str, values: Any) -> Axis:  # noqa: ANN401 - TOML
        where = f"[axes] {key}"
        if not isinstance(values, list):
            raise InputError(f"{where} is {values!r}, but must be a list of values")
        if not values:
            raise InputError(f"{where} is empty, so that there is no question: give values")
        kinds = {_kind_of(value) for value in values}
        if len(kinds) > 1:
            raise InputError(f"{where} mixes {' and '.join(sorted(kinds))}: write all alike")
        if kinds == {"tables"}:
            cases = tuple(self.case(value, where) for value in values)
            name = key
            if key.replace("-", "_") in self.asks.options:
                raise InputError(
                    f"{where} lists tables of options, but is the name of an option itself: call "
                    f"the axis something else, such as machine"
                )
        else:
            name = self.option(key)
            cases = tuple({name: self.value(name, value, "[axes]")} for value in values)
        if len({msgspec.json.encode(case, order="sorted") for case in cases}) < len(cases):
            raise InputError(f"{where} has a value twice: give each once")
        return Axis(name=name, cases=cases, labels=tuple(map(_label, cases)))

    def uncertain(self, written: Mapping[str, Any]) -> dict[str, Spread]:
        """What is drawn at random."""
        found = {}
        for key, value in written.items():
            name = self.option(key)
            found[name] = read_spread(self.asks.options[name], value, name, self.facts)
        return found


def _label(case: Case) -> str:
    return ", ".join(map(str, case.values()))


def _kind_of(value: Any) -> str:  # noqa: ANN401 - TOML
    if isinstance(value, bool):
        return "true and false"
    if isinstance(value, int | float):
        return "numbers"
    if isinstance(value, str):
        return "texts"
    return "tables" if isinstance(value, dict) else "lists"


def _distinct(options: Case, axes: Iterable[Axis], uncertain: Mapping[str, Spread]) -> None:
    """An option is set in one place alone."""
    seen: dict[str, str] = dict.fromkeys(options, "[options]")
    parts = [(f"[axes] {axis.name}", set().union(*axis.cases)) for axis in axes]
    for where, names in [*parts, ("[uncertain]", set(uncertain))]:
        for name in sorted(names):
            if name in seen:
                raise InputError(f"{name} is in {seen[name]} and in {where}: set it in one of them")
            seen[name] = where


def _design(written: Mapping[str, Any], uncertain: Mapping[str, Spread]) -> tuple[Design, int]:
    """The design and its samples."""
    design = written.get("design", "monte-carlo" if uncertain else "grid")
    for known in get_args(Design):
        if design == known:
            break
    else:
        raise InputError(f"design is {design!r}; choose from {', '.join(get_args(Design))}")
    if design == "grid":
        if uncertain:
            raise InputError('a grid draws nothing: write design = "monte-carlo", or "sobol"')
        if "samples" in written:
            raise InputError("a grid has no samples: leave them out, or add [uncertain] options")
        return "grid", 0
    if not uncertain:
        raise InputError(f"a {design} design needs options to draw: add an [uncertain] table")
    return known, _whole(written, "samples", SAMPLES[design], least=2, most=MOST_SAMPLES)


def _table(written: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = written.get(name, {})
    if not isinstance(found, dict):
        raise InputError(f"{name} is {found!r}, but must be a table: [{name}]")
    return found


def _texts(written: Mapping[str, Any], name: str) -> list[str]:
    found = written.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InputError(f'{name} is {found!r}, but must be a list of names: {name} = ["..."]')
    return found


def _whole(
    written: Mapping[str, Any], name: str, usual: int, *, least: int, most: int = 2**32
) -> int:
    found = written.get(name, usual)
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise InputError(f"{name} is {found!r}, but must be a whole number of {least} to {most:,}")
    return found


def _result(written: Any, asks: Question) -> str:  # noqa: ANN401 - TOML
    name = str(written).replace("-", "_")
    if name:
        _known([name], asks.results, "there is no result {name!r} of such a question")
    return name


def _known(names: Iterable[str], known: Iterable[str], said: str) -> None:
    """Refuse a name that is not known, and offer the nearest."""
    every = list(known)
    for name in names:
        if name not in every:
            near = nearest_names(name, every)
            mend = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(every)}"
            raise InputError(f"{said.format(name=name)}: {mend}")
