"""From a ``config.json`` to a `Model`: the file, the family, and what was not understood."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from clusterwright.errors import ConfigError, nearest_names
from clusterwright.model.families.decoder_only import Traits, read_decoder
from clusterwright.model.families.needed import completed
from clusterwright.model.families.refused import REFUSED
from clusterwright.model.families.registry import READERS
from clusterwright.model.irrelevant import is_irrelevant
from clusterwright.model.keys import Keys
from clusterwright.model.records import Model

TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config", "decoder_config")
"""Where multimodal configurations keep the part that reads and writes text."""

GENERIC_KEYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
"""What a configuration of an unknown family needs to be read as a llama-like decoder."""


def load_config(
    source: str | os.PathLike[str] | Mapping[str, object], *, name: str | None = None
) -> Model:
    """Read a Hugging Face ``config.json`` as a `Model`.

    Parameters
    ----------
    source
        A file, a folder that holds ``config.json``, or the parsed object.
    name
        What to call the model; by default the folder's (or the file's) name.

    Returns
    -------
    Model
        ``unknown_keys`` names the keys that nobody read, ``model_type=…`` where the family is
        unknown and was read as a llama-like decoder, and the parts left out of multimodal models.

    Raises
    ------
    ConfigError
        No such file, no JSON, no transformer, or numbers that cannot be.
    """
    if isinstance(source, Mapping):
        values, where = dict(source), name or "config"
        called = name or str(source.get("_name_or_path") or source.get("model_type") or "model")
    else:
        path = _find(Path(source))
        values, where = read_file(path), str(path)
        called = name or (path.parent.resolve().name if path.name == "config.json" else path.stem)
    return read_config(Keys(values, where=where), called)


def read_config(keys: Keys, name: str) -> Model:
    """Read an opened configuration; `load_config` is the door."""
    family = keys.word("model_type")
    if (part := _text_part(keys)) is not None:
        model = _read_text(keys, part, name)
    elif family in READERS:
        model = READERS[family](completed(keys, family), name)
    else:
        model = _read_unknown(keys, family, name)
    unknown = (*keys.notes, *(key for key in keys.unused(()) if not is_irrelevant(key)))
    return msgspec.structs.replace(model, unknown_keys=tuple(dict.fromkeys(unknown)))


def _find(path: Path) -> Path:
    if path.is_dir():
        inside = path / "config.json"
        if not inside.is_file():
            raise ConfigError(f"{path}: the folder has no config.json; name a file or a model.")
        return inside
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; name a config.json or a folder that holds one.")
    return path


def read_file(source: str | os.PathLike[str]) -> dict[str, object]:
    """The parsed ``config.json`` of a file or of a folder that holds one.

    Raises
    ------
    ConfigError
        No such file, or no JSON object.
    """
    path = _find(Path(source))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; a config.json is needed.") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    if not text.strip():
        raise ConfigError(f"{path}: the file is empty; a JSON object is needed.")
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: not a model configuration ({error}).") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: the JSON is not an object; a model's config.json is needed.")
    return values


def _text_part(keys: Keys) -> Keys | None:
    for part in TEXT_PARTS:
        if isinstance(keys.values.get(part), Mapping):
            return keys.part(part)
    return None


def _read_text(keys: Keys, part: Keys, name: str) -> Model:
    """Read the text part of a multimodal configuration; what is outside may complete it."""
    outside: dict[str, object] = {}
    for key in ("vocab_size", "tie_word_embeddings"):
        # The head belongs to the whole, so that the whole says whether it is tied.
        whole = key == "tie_word_embeddings" or part.values.get(key) is None
        if keys.values.get(key) is not None and whole:
            outside[key] = keys.values[key]
    keys.ignore("vocab_size", "tie_word_embeddings")
    family = keys.word("model_type")
    own = part.values.get("model_type")
    if own is None and f"{family}_text" in READERS:
        outside["model_type"] = f"{family}_text"
    others = [k for k, v in keys.values.items() if isinstance(v, Mapping) and "config" in k]
    for other in others:
        keys.ignore(other)
        if keys.values[other] is not part.values and other != part.prefix.rstrip("."):
            keys.note(f"{other} (not counted: only the text part is read)")
    model = read_config(part.merged(outside), name)
    for key in model.unknown_keys:
        keys.note(key)
    return model


def _read_unknown(keys: Keys, family: str, name: str) -> Model:
    """Read a configuration of no known family as a llama-like decoder, or refuse it."""
    if family in REFUSED:
        raise ConfigError(f"{keys.where}: model_type {family!r} is {REFUSED[family]}.")
    lacking = [key for key in GENERIC_KEYS if not keys.has(key)]
    if lacking:
        near = nearest_names(family, READERS) if family else []
        offer = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(
            f"{keys.where}: model_type {family or '(missing)'!r} is not known, and without "
            f"{', '.join(lacking)} it cannot be read as a llama-like decoder{offer}"
        )
    keys.note(f"model_type={family or '(missing)'} (read as a llama-like decoder)")
    return read_decoder(keys, name, Traits())
