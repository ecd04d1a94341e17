"""Traces that are JSON: Mooncake and ShareGPT.

Sources, read on stored copies in 2026: ``FAST25-release/README.md`` and ``…/traces/*.jsonl`` of
github.com/kvcache-ai/Mooncake (Apache-2.0; Qin et al., Mooncake, FAST 2025).
``ShareGPT_V3_unfiltered_cleaned_split.json`` of huggingface.co/datasets/anon8231489123/
ShareGPT_Vicuna_unfiltered as ``ShareGPTDataset`` in ``vllm/benchmarks/datasets.py`` of
github.com/vllm-project/vllm reads it.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from clusterwright.errors import TableError
from clusterwright.traces.gathering import Gathered, UnfitError, clipped, moment, whole
from clusterwright.traces.opening import lines_of
from clusterwright.traces.trace import Trace

BLOCK_TOKENS = 512
"""Tokens of a block in Mooncake's traces. [tokens]"""
UNANSWERED = "conversations without a question and an answer"
ASKING = ("human", "user")
ANSWERING = ("gpt", "assistant", "chatgpt", "bing", "bard")

_MILLISECONDS = 1000.0


def read_mooncake(path: Path) -> Trace:
    """Read a trace of Mooncake, plain or gzip: an object on each line.

    ``timestamp``: [ms]. ``input_length``, ``output_length``: [tokens]. ``hash_ids``: a whole number
    for each block of 512 tokens, the last of which may be cut, so that there are
    ceil(``input_length`` / 512) of them. It stands for the block and all before it.

    Raises
    ------
    InputError
        There is no such file.
    TableError
        Lines are broken; names them.
    """
    gathered = Gathered(path)
    for line, raw in enumerate(lines_of(path), 1):
        if not raw.strip():
            continue
        try:
            record = _object(raw)
            prompt = whole(_field(record, "input_length"), "input_length")
            gathered.add(
                moment(_field(record, "timestamp"), "timestamp") / _MILLISECONDS,
                prompt,
                whole(_field(record, "output_length"), "output_length"),
                hashes=_hashes(record, prompt),
            )
        except UnfitError as unfit:
            gathered.refuse(line, str(unfit))
    return gathered.trace(hash_tokens=BLOCK_TOKENS)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):
        raise UnfitError("not JSON, or cut off") from None
    if not isinstance(record, dict):
        raise UnfitError("not a JSON object in braces")
    return record


def _field(record: dict[str, Any], name: str) -> str | float:
    """Return what should be a number."""
    if name not in record:
        raise UnfitError(f"{name} is missing")
    value = record[name]
    if not isinstance(value, int | float):
        raise UnfitError(f"{name} is {clipped(value)}, but must be a number")
    return value


def _hashes(record: dict[str, Any], prompt: int) -> list[int]:
    hashes = record.get("hash_ids")
    if not isinstance(hashes, list) or not all(type(value) is int for value in hashes):
        raise UnfitError("hash_ids is missing or not a list of whole numbers")
    blocks = -(-prompt // BLOCK_TOKENS)
    if len(hashes) != blocks:
        raise UnfitError(
            f"hash_ids has {len(hashes)} blocks, but {prompt} tokens make {blocks} of "
            f"{BLOCK_TOKENS}"
        )
    return hashes


def read_sharegpt(path: Path, characters_per_token: float) -> Trace:
    """Read conversations of ShareGPT, plain or gzip: one JSON list, all of which must fit memory.

    One conversation is one request, as in the benchmarks of vLLM: the first question that is
    answered, and the answer; later turns are not used. (vLLM takes the first two turns whoever
    speaks, and leaves out what is very short or long. Here a conversation that begins with an
    answer is read from its first question on, nothing is left out for its length, and what has no
    question with an answer is dropped.) There are no times: all arrive at 0. There are no tokens
    either: their numbers are ESTIMATED from the numbers of characters and rounded up.

    Parameters
    ----------
    path
        The file.
    characters_per_token
        How many characters make a token. [1]

    Raises
    ------
    InputError
        There is no such file.
    TableError
        It is not such a list, or entries of it are broken; names them, counted from 1.
    """
    raw = b"".join(lines_of(path))
    if not raw.lstrip().startswith(b"["):
        raise TableError(f"{path}: not a JSON list of conversations; put them in brackets")
    try:
        entries = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TableError(f"{path}: not readable as JSON ({error}); is it truncated?") from None
    gathered = Gathered(path, "entry")
    for number, entry in enumerate(entries, 1):
        try:
            pair = _first_pair(entry)
        except UnfitError as unfit:
            gathered.refuse(number, str(unfit))
            continue
        if pair is None:
            gathered.drop(number, UNANSWERED)
            continue
        prompt, output = (math.ceil(len(text) / characters_per_token) for text in pair)
        gathered.add(0.0, prompt, output)
    return gathered.trace()


def _first_pair(entry: object) -> tuple[str, str] | None:
    """Return the first question that is answered, and the answer; both have characters."""
    turns = entry.get("conversations") if isinstance(entry, dict) else None
    if not isinstance(turns, list):
        raise UnfitError("conversations is missing or not a list")
    for turn in turns:
        if not (
            isinstance(turn, dict)
            and isinstance(turn.get("from"), str)
            and isinstance(turn.get("value"), str)
        ):
            raise UnfitError("a turn without a from and a value that are texts")
    for asked, answered in pairwise(turns):
        if asked["from"] in ASKING and answered["from"] in ANSWERING:
            pair = asked["value"], answered["value"]
            if all(pair):
                return pair
    return None
