"""How far a long command is: one line, kept up to date on a terminal or told to whoever listens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


def tell(words: str) -> None:
    """Say how far it is, in place of what was said before; "" takes the line away."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(words)
    elif sys.stderr.isatty():  # nothing where nobody looks
        sys.stderr.write(f"\r\033[K{words}")
        sys.stderr.flush()


def tell_count(done: int, total: int, *, of: str = "runs") -> None:
    """Say it as a count; the line goes away with the last."""
    tell(f"{done:,} of {total:,} {of}" if done < total else "")


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Have everything that is said go to a listener."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
