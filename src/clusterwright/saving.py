"""Plans as files: written whole or not at all, the same plan the same bytes, refused if broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from clusterwright.errors import CatalogueError, InputError
from clusterwright.records import Record

T = TypeVar("T", bound=Record)
MOST_WHOLE = 10**17
"""No saved record counts further: above it a number is no longer told from the next by a float."""


def save_plan(plan: Record, path: str | Path) -> None:
    """Write a plan; whole or not at all.

    Raises
    ------
    InputError
        When the path names no file that can be written.
    """
    write_bytes(Path(path), encode_plan(plan))


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; whole or not at all.

    Raises
    ------
    InputError
        When the path names no file that can be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, encoded: bytes) -> None:
    """Put bytes into a file by way of another beside it; whole or not at all.

    Raises
    ------
    InputError
        When the path names no file that can be written.
    """
    if path.is_dir() or not path.name:
        raise InputError(f"cannot save to the folder {str(path)!r}: name a file, such as plan.json")
    if not path.parent.is_dir():
        raise InputError(f"cannot save {str(path)!r}: there is no folder {str(path.parent)!r}")
    if path.exists() and not path.is_file():
        path.write_bytes(encoded)  # a device or a pipe: never put a file in its place
        return
    target = path.resolve()
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
        found = msgspec.json.decode(path.read_bytes(), type=record)
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}; save a plan with --save") from None
    except IsADirectoryError:
        raise InputError(f"{str(path)!r} is a folder: name a saved {noun}") from None
    except CatalogueError as error:  # what records check of facts, they check of edited files too
        raise InputError(f"{str(path)!r} was edited into no {noun}: {error}") from None
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(_why_not(path, noun, str(error))) from None
    if any(abs(number) > MOST_WHOLE for number in _whole_numbers(found)):
        raise InputError(f"{str(path)!r} is no saved {noun}: it has a count beyond any that can be")
    return found


def _whole_numbers(value: object) -> Iterator[int]:
    """All whole numbers of a record, its parts' as well."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _whole_numbers(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _whole_numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _whole_numbers(one)


class _Stamp(msgspec.Struct):
    """What every saved plan begins with, and as much of its question as tells its kind."""

    version: str = ""
    catalogue: str = ""
    question: dict[str, msgspec.Raw] = {}


def _stamp_of(path: Path) -> _Stamp:
    """Who wrote a file, as far as it tells; nothing where it is no plan at all."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Stamp)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return _Stamp()


def is_saved_plan(path: Path) -> bool:
    """Whether a file says of itself what every saved plan does, of whatever kind and version."""
    stamp = _stamp_of(path)
    return bool(stamp.version and stamp.catalogue and stamp.question)


def saved_kind(path: Path) -> Literal["training", "serving"]:
    """What a saved plan is for, as far as its keys tell."""
    return "serving" if "engine" in _stamp_of(path).question else "training"


def _why_not(path: Path, noun: str, error: str) -> str:
    """Why a file is no record of this version: another kind, another version, or none at all."""
    from clusterwright import __version__

    stamp = _stamp_of(path)
    if not is_saved_plan(path):
        return f"{str(path)!r} is not a saved {noun}: {error}; save one with --save"
    kind = "serving" if "engine" in stamp.question else "training"
    if noun.startswith("plan for") and not noun.endswith(kind):
        return f"{str(path)!r} is a saved plan for {kind}, and not a {noun}"
    command = "clusterwright plan " + ("serve" if kind == "serving" else "train")
    if stamp.version == __version__:
        return f"{str(path)!r} is not a saved {noun}: {error}; save one with {command} --save"
    return (
        f"{str(path)!r} was written by version {stamp.version}, and version {__version__} keeps "
        f"plans otherwise ({error}): ask it anew with {command} and --save {path.name}"
    )
