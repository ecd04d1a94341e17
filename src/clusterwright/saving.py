"""Plans as files: written whole or not at all, the same plan the same bytes, refused if broken."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from clusterwright.errors import InputError
from clusterwright.records import Record

T = TypeVar("T", bound=Record)


def save_plan(plan: Record, path: Path) -> None:
    """Write a plan; whole or not at all.

    Raises
    ------
    InputError
        When the path names no file that can be written.
    """
    encoded = encode_plan(plan)
    if path.is_dir() or not path.name:
        raise InputError(f"cannot save to the folder {str(path)!r}: name a file, such as plan.json")
    if not path.parent.is_dir():
        raise InputError(f"cannot save {str(path)!r}: there is no folder {str(path.parent)!r}")
    target = path.resolve()
    if target.exists() and not target.is_file():
        target.write_bytes(encoded)  # a device or a pipe: never put a file in its place
        return
    temporary = target.with_name(target.name + ".part")
    try:
        temporary.write_bytes(encoded)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot save {str(path)!r}: {error.strerror}") from None


def encode_plan(plan: Record) -> bytes:
    """A plan as bytes: the same plan gives the same bytes."""
    return msgspec.json.encode(plan, order="deterministic") + b"\n"


def load_record(path: Path, record: type[T], noun: str) -> T:
    """Read a saved record, which is called a ``noun``.

    Raises
    ------
    InputError
        No such file, or something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=record)
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}; save a plan with --save") from None
    except IsADirectoryError:
        raise InputError(f"{str(path)!r} is a folder: name a saved {noun}") from None
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise InputError(
            f"{str(path)!r} is not a saved {noun}: {error}; save one with --save"
        ) from None
