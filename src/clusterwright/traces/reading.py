"""Read a trace of any known format."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path

from clusterwright.errors import InputError, TableError, nearest_names
from clusterwright.traces.documents import read_mooncake, read_sharegpt
from clusterwright.traces.opening import head_of
from clusterwright.traces.tables import LAYOUTS, header_cells, read_table
from clusterwright.traces.trace import Trace

SAMPLES = {
    "azure": "azure.csv",
    "burstgpt": "burstgpt.csv",
    "mooncake": "mooncake.jsonl",
    "sharegpt": "sharegpt.json",
    "plain": "plain.csv",
}
"""Made-up files in ``data/traces`` of the package, one of each format."""
CHARACTERS_PER_TOKEN = 4.0
"""About, in English text. [1]"""
FORMATS = tuple(SAMPLES)
"""Formats that can be read."""

_MOONCAKE = (b'"input_length"', b'"output_length"', b'"hash_ids"')


def read_trace(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002 - what everyone calls it
    characters_per_token: float = CHARACTERS_PER_TOKEN,
) -> Trace:
    """Read a trace of requests, plain or gzip.

    Parameters
    ----------
    path
        The file; what it is called does not matter.
    format
        One of `FORMATS`; by default what its header or its first record looks like.
    characters_per_token
        How many characters make a token where only the text is given (ShareGPT). About 4 in
        English by the rule of thumb of OpenAI's tokenizers, fewer in code and other languages. [1]

    Returns
    -------
    Trace
        Requests sorted by arrival from 0; ``dropped`` says which lines are no requests.

    Raises
    ------
    InputError
        There is no such file or format, or the characters per token are not positive.
    TableError
        The file is empty, binary, damaged, of no known format, or some of its lines are broken:
        the first 10 are named with what is wrong with each, the others are counted.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        near = nearest_names(format, FORMATS, count=1)
        offer = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(FORMATS)}"
        raise InputError(f"no format of traces is called {format!r}: {offer}")
    if not (math.isfinite(characters_per_token) and characters_per_token > 0.0):
        raise InputError(f"{characters_per_token} characters per token: it must be above 0")
    head = head_of(path)
    format = format or _guessed(path, head)  # noqa: A001 - as above
    if format == "mooncake":
        return read_mooncake(path)
    if format == "sharegpt":
        return read_sharegpt(path, characters_per_token)
    return read_table(path, LAYOUTS[format])


def read_sample(format: str) -> Trace:  # noqa: A002 - as above
    """Read the sample of a format that the package ships: 200 requests, all made up.

    Raises
    ------
    InputError
        There is no such format.

    >>> len(read_sample("mooncake"))
    200
    """
    if format not in FORMATS:
        raise InputError(f"no sample of format {format!r}; choose one of {', '.join(FORMATS)}")
    folder = resources.files("clusterwright").joinpath("data", "traces")
    with resources.as_file(folder.joinpath(SAMPLES[format])) as path:
        return read_trace(path, format=format)


def _guessed(path: Path, head: bytes) -> str:
    """Return the format that a file seems to have by its beginning."""
    first = head.lstrip().split(b"\n", 1)[0]
    if first.startswith(b"[") or b'"conversations"' in first:
        return "sharegpt"
    if first.startswith(b"{"):
        if any(key in first for key in _MOONCAKE):
            return "mooncake"
        raise TableError(
            f"{path}: JSON of no known trace; a line of Mooncake has timestamp, input_length, "
            "output_length and hash_ids, and ShareGPT is a list of conversations"
        )
    names = header_cells(first.decode("utf-8", errors="replace"))
    matches = {
        name: sum(column.lower() in names for column in layout.columns)
        for name, layout in LAYOUTS.items()
    }
    best = max(matches, key=lambda name: matches[name])
    if list(matches.values()).count(matches[best]) > 1:
        known = "; ".join(f"{n}: {', '.join(one.columns)}" for n, one in LAYOUTS.items())
        raise TableError(
            f"{path}, line 1: not the header of a known trace ({known}); give it one, or name its "
            "format"
        )
    return best
