"""DeepSpeed's own reading of its settings, as if a job of some ranks had started."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any


class Asked(dict):
    """A dictionary that remembers which of its keys somebody looked for.

    `DeepSpeedConfig` refuses unknown keys inside its blocks, and passes over unknown blocks.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data)
        self.keys_asked: set[str] = set()

    def __contains__(self, key: object) -> bool:
        self.keys_asked.add(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> Any:
        self.keys_asked.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.keys_asked.add(key)
        return super().get(key, default)

    def keys(self) -> Any:
        """Every key is looked for by who lists them, which DeepSpeed does to find some."""
        return _Keys(self)

    def __copy__(self) -> Asked:
        """The same: DeepSpeed reads a copy."""
        return self


class _Keys:
    def __init__(self, data: Asked) -> None:
        self.data = data

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def __iter__(self) -> Any:
        return iter(list(dict.keys(self.data)))


def read(settings: dict[str, Any], data_ranks: int) -> tuple[Any, set[str]]:
    """What DeepSpeed makes of settings, and the keys of ours that it does not know."""
    os.environ["DS_ACCELERATOR"] = "cpu"
    import deepspeed
    from deepspeed.runtime.config import DeepSpeedConfig

    deepspeed.comm.get_rank = lambda *_: 0
    deepspeed.runtime.config.dist.get_rank = lambda *_: 0
    groups = SimpleNamespace(get_data_parallel_world_size=lambda: data_ranks)
    asked = Asked(settings)
    config = DeepSpeedConfig(asked, mpu=groups)
    return config, set(settings) - asked.keys_asked
