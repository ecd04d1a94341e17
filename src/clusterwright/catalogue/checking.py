"""One entry against its schema: what is wrong with it, and its compiled form."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, cast

from clusterwright.errors import UnitError, nearest_names
from clusterwright.units import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clusterwright.catalogue.schema import Attribute, Kind

_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


class EntryChecker:
    """Checks the entries of one kind; ``report(key, message)`` is called for all that is wrong.

    ``own_file`` is true for a person's own file, where provenance may be missing.
    """

    def __init__(
        self,
        kind: Kind,
        figure_keys: Iterable[Attribute],
        report: Callable[[str, str], None],
        *,
        own_file: bool = False,
    ) -> None:
        self.kind = kind
        self.figure_keys = {attribute.name: attribute for attribute in figure_keys}
        self.report = report
        self.own_file = own_file
        self._dimension: str | None = None
        self._read: dict[str, Callable[[Attribute, object, str], object]] = {
            "id": self._id,
            "text": self._text,
            "texts": self._texts,
            "date": self._date,
            "integer": self._integer,
            "number": self._number,
            "degrees": self._degrees,
            "boolean": self._boolean,
            "size": self._size,
            "reference": self._text,
            "figure": self._figure,
            "figures": self._figures,
            "table": self._table,
            "tables": self._tables,
        }

    def compile(self, entry: dict[str, object]) -> dict[str, Any]:
        """Return the entry with figures in SI and dates as text; report what is wrong."""
        if self.kind.free:
            return cast("dict[str, Any]", plain(entry))
        dimension = entry.get("dimension")
        self._dimension = dimension if isinstance(dimension, str) else None
        return self._keys(self.kind.attribute, entry, "")

    def _keys(
        self, attributes: Iterable[Attribute], table: dict[str, object], path: str
    ) -> dict[str, Any]:
        known = {attribute.name: attribute for attribute in attributes}
        done: dict[str, Any] = {}
        for key, written in table.items():
            if key not in known:
                self._unknown(f"{path}{key}", key, known)
                continue
            value = self._read[known[key].type](known[key], written, f"{path}{key}")
            if value is not None:
                done[key] = value
        for attribute in known.values():
            excused = attribute.provenance and self.own_file
            if attribute.required and not excused and attribute.name not in table:
                key = f"{path}{attribute.name}"
                self.report(key, f"{key!r} is missing ({attribute.doc.rstrip('.')}): add it")
        return done

    def _unknown(self, path: str, key: str, known: Iterable[str]) -> None:
        near = nearest_names(key, known, count=1)
        mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        self.report(path, f"unknown key {path!r}: {mend}")

    def _expect(self, types: type | tuple[type, ...], written: object, path: str) -> bool:
        wanted = types if isinstance(types, tuple) else (types,)
        if isinstance(written, types) and (bool in wanted or not isinstance(written, bool)):
            return True
        self.report(path, f"{path!r} is {written!r}: write {_WORDS[wanted[0]]}")
        return False

    def _id(self, _: Attribute, written: object, path: str) -> str | None:
        if not self._expect(str, written, path):
            return None
        if not _ID.fullmatch(str(written)):
            self.report(path, f"id {written!r}: use lower-case letters, digits, '-' and '.'")
            return None
        return str(written)

    def _text(self, attribute: Attribute, written: object, path: str) -> str | None:
        if not self._expect(str, written, path):
            return None
        if not str(written).strip():
            self.report(path, f"{path!r} is empty: leave the key out where nothing is known")
        if attribute.choices and written not in attribute.choices:
            self.report(path, f"{path!r} is {written!r}: one of {', '.join(attribute.choices)}")
        return str(written)

    def _texts(self, _: Attribute, written: object, path: str) -> list[str] | None:
        if isinstance(written, list) and all(isinstance(one, str) for one in written):
            return [str(one) for one in written]
        self.report(path, f"{path!r} is {written!r}: write a list of texts")
        return None

    def _date(self, _: Attribute, written: object, path: str) -> str | None:
        if isinstance(written, dt.date) and not isinstance(written, dt.datetime):
            return written.isoformat()
        self.report(path, f"{path!r} is {written!r}: write a day such as 2026-11-21, unquoted")
        return None

    def _integer(self, _: Attribute, written: object, path: str) -> int | None:
        if not self._expect(int, written, path):
            return None
        number = cast("int", written)
        if number < 1:
            self.report(path, f"{path!r} is {number}: write a whole number above zero")
        return number

    def _number(self, _: Attribute, written: object, path: str) -> float | None:
        if not self._expect((float, int), written, path):
            return None
        number = float(cast("float", written))
        if not 0 < number < float("inf"):
            self.report(path, f"{path!r} is {number}: write a number above zero")
        return number

    def _degrees(self, _: Attribute, written: object, path: str) -> float | None:
        if not self._expect((float, int), written, path):
            return None
        number = float(cast("float", written))
        if not -180.0 <= number <= 180.0:
            self.report(path, f"{path!r} is {number}: write degrees, south and west below zero")
        return number

    def _boolean(self, _: Attribute, written: object, path: str) -> bool | None:
        return cast("bool", written) if self._expect(bool, written, path) else None

    def _size(self, attribute: Attribute, written: object, path: str) -> int | str | None:
        return "all" if written == "all" else self._integer(attribute, written, path)

    def _figures(self, attribute: Attribute, written: object, path: str) -> dict[str, Any] | None:
        if not isinstance(written, dict):
            self.report(path, f"{path!r} is {written!r}: write {path}.{attribute.keys[0]} = …")
            return None
        done: dict[str, Any] = {}
        for key, one in written.items():
            if key not in attribute.keys:
                self._unknown(f"{path}.{key}", key, attribute.keys)
                continue
            figure = self._figure(attribute, one, f"{path}.{key}")
            if figure is not None:
                done[key] = figure
        return done

    def _table(self, attribute: Attribute, written: object, path: str) -> dict[str, Any] | None:
        if isinstance(written, dict):
            return self._keys(attribute.attribute, written, f"{path}.")
        self.report(path, f"{path!r} is {written!r}: write a table")
        return None

    def _tables(self, attribute: Attribute, written: object, path: str) -> list[Any] | None:
        if not isinstance(written, list) or not written:
            self.report(path, f"{path!r} is {written!r}: write a list of tables")
            return None
        rows = [
            self._table(attribute, one, f"{path}[{index}]") for index, one in enumerate(written)
        ]
        return [row for row in rows if row is not None]

    def _figure(self, attribute: Attribute, written: object, path: str) -> dict[str, Any] | None:
        """Compile a quantity, or a table that holds one, to value, text and provenance."""
        dimension = attribute.dimension or self._dimension
        if dimension is None:
            self.report(path, f'{path!r}: say what it is measured in, e.g. dimension = "B/s"')
            return None
        table = written if isinstance(written, dict) else {"value": written}
        for key in table:
            if key not in self.figure_keys:
                self._unknown(f"{path}.{key}", key, self.figure_keys)
        done = self._quantity(table, dimension, path)
        if done is None:
            return None
        done |= {"dimension": dimension, "kind": self.kind.figure_kind}
        for key in ("kind", "source", "confidence", "checked", "note"):
            if key in table:
                one = self.figure_keys[key]
                done[key] = self._read[one.type](one, table[key], f"{path}.{key}")
        others = self._disagreements(table.get("disagrees", []), dimension, f"{path}.disagrees")
        return done | ({"disagrees": others} if others else {})

    def _quantity(
        self, table: dict[str, object], dimension: str, path: str
    ) -> dict[str, Any] | None:
        if "value" not in table and "range" not in table:
            self.report(path, f"{path!r}: give a value, a range, or both")
            return None
        value = self._parse(table["value"], dimension, path) if "value" in table else None
        ends = self._range(table["range"], dimension, path) if "range" in table else None
        if ("value" in table and value is None) or ("range" in table and ends is None):
            return None
        if ends is None:
            return {"value": value, "text": str(table["value"])}
        low, high = ends
        text = "{} to {}".format(*cast("list[str]", table["range"]))
        if value is None:
            return {"value": (low + high) / 2, "text": text, "low": low, "high": high}
        if not low <= value <= high:
            self.report(path, f"{path!r}: {table['value']!r} is not within its range of {text}")
        return {"value": value, "text": f"{table['value']} ({text})", "low": low, "high": high}

    def _range(self, ends: object, dimension: str, path: str) -> tuple[float, float] | None:
        if not isinstance(ends, list) or len(ends) != 2:
            self.report(path, f"{path!r}: a range is a list of lowest and highest")
            return None
        low, high = (self._parse(end, dimension, path) for end in ends)
        if low is None or high is None:
            return None
        if low > high:
            self.report(path, f"{path!r}: the range runs from high to low: swap its ends")
        return low, high

    def _parse(self, written: object, dimension: str, path: str) -> float | None:
        if not isinstance(written, str):
            self.report(path, f"{path!r} is {written!r}: write a quoted quantity with its unit")
            return None
        try:
            return parse(written, dimension)
        except UnitError as error:
            self.report(path, f"{path!r}: {error}")
            return None

    def _disagreements(self, written: object, dimension: str, path: str) -> list[dict[str, Any]]:
        if not isinstance(written, list):
            self.report(path, f"{path!r}: write a list of {{ value, source, note }}")
            return []
        done: list[dict[str, Any]] = []
        for one in written:
            known = {"value", "source", "note"}
            if not isinstance(one, dict) or not {"value"} <= set(one) <= known:
                self.report(path, f"{path!r}: each holds value, and source or note, nothing else")
                continue
            value = self._parse(one["value"], dimension, path)
            if value is not None:
                words = {key: str(one[key]) for key in ("source", "note") if key in one}
                done.append({"value": value, "text": str(one["value"]), **words})
        return done


def plain(value: object) -> object:
    """Return ``value`` as JSON can hold it: dates as text."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value
