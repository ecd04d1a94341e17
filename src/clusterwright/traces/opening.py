"""Files of traces as lines, plain or gzip, whatever they are called."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from clusterwright.errors import InputError, TableError

HEAD_BYTES = 65536
"""How much of a file is looked at to tell what it is."""
_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"


def head_of(path: Path) -> bytes:
    """Return the beginning of a file, unpacked and without a byte-order mark.

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    TableError
        It is empty, a damaged gzip file, or no text.
    """
    with _opened(path) as file:
        head = file.read(HEAD_BYTES).removeprefix(_MARK)
    if b"\x00" in head:
        raise TableError(f"{path} is a binary file; a trace is plain or gzip-ed UTF-8 text")
    if not head.strip():
        raise TableError(f"{path}: the file is empty; a trace has a request on each line")
    return head


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, unpacked and without a byte-order mark.

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    TableError
        It is a damaged gzip file.
    """
    with _opened(path) as file:
        yield file.readline().removeprefix(_MARK)
        yield from file


def text_lines_of(path: Path) -> Iterator[str]:
    """Yield the lines of a file as text.

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    TableError
        It is a damaged gzip file, or a line is no UTF-8; names the line.
    """
    for line, raw in enumerate(lines_of(path), 1):
        try:
            yield raw.decode()
        except UnicodeDecodeError:
            raise TableError(
                f"{path}, line {line}: not UTF-8 text; save the trace as UTF-8"
            ) from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to read it; what goes wrong meanwhile is said in one sentence."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the trace inside it")
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            if not packed:
                yield file
                return
            with gzip.open(file) as unpacked:
                yield cast("IO[bytes]", unpacked)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}; name a trace of requests") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise TableError(
            f"{path} is a damaged or truncated gzip file; fetch or write it again"
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
