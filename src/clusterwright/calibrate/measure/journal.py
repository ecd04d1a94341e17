"""The journal of a sweep: a line for each thing measured, so that a killed sweep goes on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from clusterwright.calibrate.measure.machine import MachineFacts
from clusterwright.calibrate.measure.tasks import Task
from clusterwright.calibrate.measure.timing import Timing
from clusterwright.errors import InputError
from clusterwright.records import Record

VERSION = 2
"""Of what lines mean and how things are timed; a journal of another version is not gone on with."""


class Head(Record, frozen=True, kw_only=True):
    """First line: what everything below was measured on."""

    version: int
    machine: MachineFacts


class Measured(Record, frozen=True, kw_only=True):
    """A line: one task, and how long it took."""

    task: Task
    timing: Timing


class Journal:
    """A file of lines of JSON; every line is whole, or it is the last and left out.

    Parameters
    ----------
    path
        Made on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def open_for(self, machine: MachineFacts) -> dict[str, Measured]:
        """Return what was measured before, by key; begin the file where there is none.

        Raises
        ------
        InputError
            The file is no journal, of another version or of another machine, or cannot be written.
        """
        if not self.path.exists():
            self._write(msgspec.json.encode(Head(version=VERSION, machine=machine)) + b"\n")
            return {}
        head, found = self.read()
        changed = head.machine.differences(machine)
        if changed:
            raise InputError(
                f"{self.path} was measured on another machine or in another way ({changed}); "
                f"name another --out, or delete the file to measure anew"
            )
        self._cut_torn_line()
        return found

    def read(self) -> tuple[Head, dict[str, Measured]]:
        """Return the head, and all whole lines by their task's key: the best of several.

        Raises
        ------
        InputError
            The file is no journal, or of another version.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror}") from None
        try:
            version = msgspec.json.decode(lines[0])["version"]
        except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
            raise InputError(
                f"{self.path} is no journal of `calibrate measure`; name another --out"
            ) from None
        if version != VERSION:
            raise InputError(
                f"{self.path} is a journal of version {version}, not {VERSION}: "
                f"delete it to measure anew, or name another --out"
            )
        try:
            head = msgspec.json.decode(lines[0], type=Head)
            rows = [msgspec.json.decode(line, type=Measured) for line in lines[1:-1] if line]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.path} is broken ({error}); delete it to measure anew"
            ) from None
        found: dict[str, Measured] = {}
        for row in rows:
            old = found.get(row.task.key)
            if old is None or old.timing.busy or row.timing.lower < old.timing.lower:
                found[row.task.key] = row
        return head, found

    def add(self, measured: Measured) -> None:
        """Append a line, whole."""
        self._write(msgspec.json.encode(measured) + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            with self.path.open("ab") as file:
                file.write(line)
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from None

    def _cut_torn_line(self) -> None:
        """Drop what a killed sweep left of its last line, so that the next one stands alone."""
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            self.path.write_bytes(whole)
