"""The command line: thin faces over the Python API, and the one place where errors become words.

Exit codes: 0 done; 1 any other failure; 2 what was typed or written cannot be used; 3 nothing fits;
4 a broken catalogue; 130 interrupted; 141 the reader of a pipe went away.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from clusterwright.errors import ClusterwrightError, InputError, nearest_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import MissingArgumentError, UnknownCommandError

    from clusterwright.cli.answers import Answer

USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
EXTRAS = {
    **dict.fromkeys(("starlette", "jinja2", "uvicorn"), "web"),
    **dict.fromkeys(("pyarrow", "scipy"), "calibrate"),
    "torch": "measure",
    "ray": "ray",
}
"""Modules that a plain installation leaves out, and the extra that brings each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the process.

    Parameters
    ----------
    arguments
        Words after ``clusterwright``; None takes those of the process.
    """
    try:
        answer = ask(sys.argv[1:] if arguments is None else arguments)
        if answer is not None:
            _show(answer)
        sys.stdout.flush()
    except ClusterwrightError as error:
        return _refuse(str(error), error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _hang_up()
    except ModuleNotFoundError as error:
        return _refuse(_not_installed(error.name or ""), 1)
    except MemoryError:
        return _refuse("this takes more memory than there is: ask for less", 1)
    except OSError as error:
        if error.filename is None:
            return _stop_writing(error)
        return _refuse(f"cannot use {str(error.filename)!r}: {error.strerror}", USAGE)
    return 0 if answer is None else answer.code


def ask(words: Sequence[str]) -> Answer | None:
    """Run one command and return what it found, without printing it.

    Parameters
    ----------
    words
        As after ``clusterwright``. Those that print by themselves, ``--help`` and the tables of
        the catalogue, return None.

    Raises
    ------
    InputError
        The words cannot be read as a command.
    ClusterwrightError
        Whatever the command refuses.
    """
    from cyclopts import (
        CycloptsError,
        MissingArgumentError,
        UnknownCommandError,
        UnusedCliTokensError,
    )

    from clusterwright.cli.answers import Answer
    from clusterwright.cli.tree import build

    try:
        found = build()(
            list(words), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except UnknownCommandError as error:
        # Its own message would import every command to look for a near one.
        raise InputError(_unknown_command(error)) from None
    except UnusedCliTokensError as error:
        left = " ".join(error.unused_tokens or ())
        raise InputError(f"nothing takes the word {left!r} here; see --help") from None
    except MissingArgumentError as error:
        raise InputError(_missing(error)) from None
    except CycloptsError as error:
        raise InputError(" ".join(str(error).split())) from None
    except ImportError as error:
        # A lazy command wraps what its import raised; the cause is what a person can mend.
        raise error.__cause__ or error from None
    return found if isinstance(found, Answer) else None


def _show(answer: Answer) -> None:
    from clusterwright.cli.answers import show  # no command needs it before it has an answer

    show(answer)


def _missing(error: MissingArgumentError) -> str:
    """Name the argument that was not given, and what it may be."""
    missing, app = error.argument, error.app
    if missing is None or app is None or missing.name.startswith("-"):
        return " ".join(str(error).split())
    arguments = app.assemble_argument_collection(parse_docstring=True)
    help_of = {one.name: one.parameter.help or "" for one in arguments}
    said = " ".join(help_of.get(missing.name, "").replace("``", "").split())
    words = " ".join(error.command_chain or ())
    return f"{missing.name.lower()} is missing: {words} needs {said[:1].lower()}{said[1:]}"


def _not_installed(module: str) -> str:
    """Say what is not installed, and what brings it."""
    said = f"this command needs {module!r}, which is not installed"
    extra = EXTRAS.get(module.split(".", 1)[0])
    return f"{said}: pip install 'clusterwright[{extra}]'" if extra else said


def _unknown_command(error: UnknownCommandError) -> str:
    """Name the word that is no command or option here, and the nearest that is."""
    word = (error.unused_tokens or [""])[0]
    dashed = word.startswith("-")
    known = [name for name in error.app or () if name.startswith("-") == dashed]
    near = nearest_names(word, known, count=1)
    mend = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
    return f"unknown {'option' if dashed else 'command'} {word!r}. {mend}"


def _refuse(message: str, code: int) -> int:
    """Say in one line what is wrong."""
    print(f"error: {message}", file=sys.stderr)
    return code


def _stop_writing(error: OSError) -> int:
    """Say why the result cannot be written: a full disk, an output that was closed."""
    _hang_up()
    return _refuse(f"cannot write the result: {error.strerror or error}", 1)


def _hang_up() -> int:
    """Leave quietly when ``| head`` has read enough."""
    # The interpreter flushes stdout once more on its way out: give it something that takes it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE
