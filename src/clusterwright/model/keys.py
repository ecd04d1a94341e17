"""A ``config.json`` as typed questions: every key is asked for by name, and the asking is noted.

What was asked for is known to the reader of the family; what is left over is reported to the
person, because a key that nobody read may change the architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clusterwright.errors import ConfigError

ALIASES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "n_embd", "d_model", "dim", "model_dim"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv"),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff"),
    "max_position_embeddings": (
        "max_position_embeddings",
        "n_positions",
        "max_seq_len",
        "max_sequence_length",
        "seq_length",
        "n_ctx",
    ),
    "num_experts": ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"),
    "num_experts_per_tok": (
        "num_experts_per_tok",
        "num_experts_per_token",
        "moe_k",
        "moe_topk",
        "top_k_experts",
    ),
    "moe_intermediate_size": ("moe_intermediate_size", "expert_ffn_hidden_size"),
    "num_shared_experts": ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"),
    "attention_bias": ("attention_bias",),
}
"""Spellings of one idea over the families; the first is the one that messages use."""


MOST: tuple[tuple[str, int], ...] = (
    ("cycles", 1_000),
    ("ngram_size", 100),
    ("per_ngram", 100),
    ("layers", 10_000),
    ("n_layer", 10_000),
    ("per_stack", 10_000),
    ("num_blocks", 10_000),
    ("heads", 1_000_000),
    ("n_head", 1_000_000),
    ("size_base", 1_000_000_000),
    ("", 100_000_000_000),
)
"""The largest number believed, by the end of the key's name: beyond it somebody has slipped."""


class Keys:
    """The keys of one configuration (or of one part of it).

    Parameters
    ----------
    values
        The parsed JSON object.
    where
        What messages call it: the path, or ``"config"``.
    prefix
        The path of keys down to this part, such as ``"text_config."``.
    """

    def __init__(self, values: Mapping[str, object], *, where: str, prefix: str = "") -> None:
        self.values = values
        self.where = where
        self.prefix = prefix
        self._asked: set[str] = set()
        self._parts: list[Keys] = []
        self.notes: list[str] = []

    def count(self, name: str, *, default: int | None = None, least: int = 1) -> int:
        """Return a whole number of at least ``least``.

        Raises
        ------
        ConfigError
            The key is missing without a default, is not a whole number, or is too small.
        """
        key, value = self._find(name)
        if value is None:
            if default is None:
                raise self.missing(name, f"a whole number of at least {least}")
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.wrong(key, value, f"a whole number of at least {least}")
        most = next(limit for end, limit in MOST if key.endswith(end))
        if value > most:
            raise self.wrong(key, value, f"a whole number of at most {most}")
        return value

    def optional(self, name: str, *, least: int = 1) -> int | None:
        """Return a whole number, or None where the key is missing or null."""
        return self.count(name, least=least) if self.has(name) else None

    def number(self, name: str, *, default: float | None = None) -> float:
        """Return a number that is not negative."""
        key, value = self._find(name)
        if value is None:
            if default is None:
                raise self.missing(name, "a number")
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e9:
            raise self.wrong(key, value, "a number between 0 and 1e9")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        key, value = self._find(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def word(self, name: str, *, default: str = "") -> str:
        """Return a string."""
        key, value = self._find(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(key, value, "a string")
        return value

    def items(self, name: str, *, length: int | None = None) -> list[object] | None:
        """Return a list, or None where the key is missing; ``length`` is what it must have."""
        key, value = self._find(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise self.wrong(key, value, "a list")
        if length is not None and len(value) != length:
            raise self.wrong(key, f"a list of {len(value)}", f"a list of {length}, one per layer")
        return list(value)

    def counts(self, name: str, *, length: int, default: int | None = None) -> list[int]:
        """Return one whole number per layer, from a list or from one number for all."""
        key, value = self._find(name)
        if not isinstance(value, list | tuple):
            return [self.count(name, default=default, least=0)] * length
        found = self.items(name, length=length) or []
        for item in found:
            if isinstance(item, bool) or not isinstance(item, int) or item < 0:
                raise self.wrong(key, item, "a list of whole numbers")
        return [item for item in found if isinstance(item, int)]

    def words(self, name: str, *, length: int | None = None) -> list[str] | None:
        """Return a list of strings, or None where the key is missing."""
        found = self.items(name, length=length)
        if found is None:
            return None
        for item in found:
            if not isinstance(item, str):
                raise self.wrong(name, item, "a list of strings")
        return [str(item) for item in found]

    def indices(self, name: str) -> frozenset[int] | None:
        """Return a list of layer numbers as a set, or None where the key is missing."""
        found = self.items(name)
        if found is None:
            return None
        for item in found:
            if isinstance(item, bool) or not isinstance(item, int):
                raise self.wrong(name, item, "a list of layer numbers")
        return frozenset(item for item in found if isinstance(item, int))

    def part(self, name: str) -> Keys | None:
        """Return a nested object as `Keys` of its own, or None where the key is missing."""
        key, value = self._find(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.wrong(key, value, "an object")
        part = Keys(value, where=self.where, prefix=f"{self.prefix}{key}.")
        self._parts.append(part)
        return part

    def merged(self, extra: Mapping[str, object]) -> Keys:
        """Return the same part with some values replaced; what it is asked counts here too."""
        other = Keys({**self.values, **extra}, where=self.where, prefix=self.prefix)
        other._asked = self._asked
        other._parts = self._parts
        other.notes = self.notes
        return other

    def has(self, name: str) -> bool:
        """Whether the key, under any spelling, is there and not null."""
        return self._find(name)[1] is not None

    def ignore(self, *names: str) -> None:
        """Note keys as understood although their values do not matter here."""
        for name in names:
            self._asked.update(ALIASES.get(name, (name,)))

    def note(self, text: str) -> None:
        """Keep a remark for the person; it comes out beside the unknown keys."""
        self.notes.append(text)

    def unused(self, known: Iterable[str]) -> list[str]:
        """Return the keys that nobody asked for, without those in ``known``, parts included."""
        skip = self._asked | set(known)
        names = [f"{self.prefix}{key}" for key in self.values if key not in skip]
        for part in self._parts:
            names += part.unused(known)
        return names

    def missing(self, name: str, right: str) -> ConfigError:
        """Return the error for a key that is not there."""
        others = ALIASES.get(name, (name,))[1:]
        also = f" (also read as {', '.join(others)})" if others else ""
        return ConfigError(
            f"{self.where}: the key {self.prefix}{name} is missing; "
            f"give {right}{also}, or take the model's own config.json."
        )

    def wrong(self, name: str, value: object, right: str) -> ConfigError:
        """Return the error for a key whose value cannot be."""
        shown = value if isinstance(value, str) and value.startswith("a list") else repr(value)
        return ConfigError(
            f"{self.where}: {self.prefix}{name} is {str(shown)[:60]}, but {right} is needed."
        )

    def _find(self, name: str) -> tuple[str, object]:
        spellings = ALIASES.get(name, (name,))
        self._asked.update(spellings)
        for key in spellings:
            value = self.values.get(key)
            if value is not None:
                return key, value
        return name, None
