"""Which model is meant: a name of the catalogue, or a configuration's path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.model.config import load_config, read_file
from clusterwright.model.records import Model


def find_model(name: str, catalogue: Catalogue) -> Model:
    """A model by catalogue name, or by the path of a ``config.json`` or its folder.

    Raises
    ------
    UnknownNameError
        Neither a file nor a name in the catalogue; the nearest names are offered.
    ConfigError
        The file cannot be read as a transformer.
    """
    if _is_path(name):
        return load_config(name)
    entry = catalogue.entry("models", name)
    return load_config(entry.data["config_json"], name=entry.id)


def find_config(model: str | Model, catalogue: Catalogue) -> dict[str, Any]:
    """The configuration that `find_model` reads a model from; none of a `Model` made by hand."""
    if isinstance(model, Model):
        return {}
    if _is_path(model):
        return dict(read_file(model))
    return dict(catalogue.entry("models", model).data["config_json"])


def _is_path(name: str) -> bool:
    if not name.strip():
        raise InputError("the model has no name: give one, such as llama-3.1-8b, or a config.json")
    return Path(name).exists() or name.endswith(".json")
