"""Words of the shell, quoted so that what a person named arrives as it was written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from clusterwright.launch.records import Ask

VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")


def quoted(word: str) -> str:
    """One word for bash; ``${NAME}`` in it is filled in when it runs, all else is literal.

    >>> quoted("--hidden-size"), quoted("a b"), quoted("${DATA}/x y")
    ('--hidden-size', "'a b'", '"${DATA}/x y"')
    """
    if not VARIABLE.search(word):  # a comma between words of an array looks like a slip of the pen
        return f"'{word}'" if "," in word and shlex.quote(word) == word else shlex.quote(word)
    parts = re.split(rf"({VARIABLE.pattern})", word)
    return '"' + "".join(p if VARIABLE.fullmatch(p) else _inside(p) for p in parts) + '"'


def _inside(text: str) -> str:
    """Text between double quotes: what the shell would read is told not to."""
    return re.sub(r'([\\"$`])', r"\\\1", text)


def array(name: str, words: Iterable[str]) -> str:
    """An array of the shell, an option and its values a line.

    >>> print(array("WORDS", ["--tp", "8", "--bf16"]))
    WORDS=(
      --tp 8
      --bf16
    )
    """
    lines: list[list[str]] = []
    for word in words:
        if word.startswith("--") or not lines:
            lines.append([])
        lines[-1].append(quoted(word))
    return "\n".join([f"{name}=(", *("  " + " ".join(line) for line in lines), ")"])


NEEDED = """\
needed() { # needed NAME "what it is": stop with a sentence when a variable says nothing
  if [ -z "${!1:-}" ]; then
    echo "error: set $1 to $2" >&2
    exit 2
  fi
}"""


def exports(environment: Mapping[str, str]) -> list[str]:
    """Variables that are set unless somebody set them before."""
    return [
        f'[ -n "${{{name}:-}}" ] || {name}={quoted(value)}; export {name}'
        for name, value in environment.items()
    ]


def asked(asks: Sequence[Ask]) -> list[str]:
    """What must be said (by the function `NEEDED`), and what is taken when nothing is."""
    return [
        *(f"needed {ask.variable} {quoted(ask.what)}" for ask in asks if not ask.default),
        *exports({ask.variable: ask.default for ask in asks if ask.default}),
    ]
