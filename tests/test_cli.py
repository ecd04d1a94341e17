"""The wiring of the command line: the tree, exit codes, one line per mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest
from cyclopts import App

from clusterwright import cli
from clusterwright.cli import main, tree
from clusterwright.errors import CatalogueError, ClusterwrightError, InfeasibleError, InputError


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes every command fail with a given exception."""

    def install(error: BaseException) -> None:
        def command() -> None:
            raise error

        def build() -> App:
            app = App(name="clusterwright", suppress_keyboard_interrupt=False)
            app.default(command)
            return app

        monkeypatch.setattr(tree, "build", build)

    return install


@pytest.mark.parametrize("command", tree.COMMANDS, ids=lambda command: command.words)
def test_every_command_exists_and_has_help(command, capsys):
    module, _, attribute = command.target.partition(":")
    assert hasattr(import_module(module), attribute)
    assert main([*command.words.split(), "--help"]) == 0
    assert "Usage: clusterwright " + command.words in capsys.readouterr().out


def test_help_lists_every_first_word(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(command.words.split()[0] in shown for command in tree.COMMANDS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plann"], "error: unknown command 'plann'. Did you mean 'plan'?"),
        (["plan", "trian"], "error: unknown command 'trian'. Did you mean 'train'?"),
        (["--hlp"], "error: unknown option '--hlp'. Did you mean '--help'?"),
        (["plan", "xyz"], "error: unknown command 'xyz'. Known: train, serve, fleet."),
    ],
)
def test_a_mistyped_word_gets_one_line_and_the_nearest(words, said, capsys):
    assert main(words) == cli.USAGE
    assert capsys.readouterr().err == said + "\n"


def test_a_mistyped_option_gets_one_line_and_the_nearest(capsys):
    assert main(["plan", "train", "m", "--acelerators", "8"]) == cli.USAGE
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "Did you mean" in said
    assert "--accelerators" in said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClusterwrightError("it failed."), 1),
        (InputError("it failed."), 2),
        (InfeasibleError("it failed."), 3),
        (CatalogueError("it failed."), 4),
    ],
)
def test_errors_of_the_house_are_one_line_and_their_exit_code(error, code, failing, capsys):
    failing(error)
    assert main([]) == code
    assert capsys.readouterr().err == "error: it failed.\n"


def test_a_missing_file_is_one_line(failing, capsys):
    failing(FileNotFoundError(2, "No such file or directory", "runs.csv"))
    assert main([]) == cli.USAGE
    assert capsys.readouterr().err == "error: cannot use 'runs.csv': No such file or directory\n"


def test_a_missing_module_is_named(failing, capsys):
    failing(ModuleNotFoundError("No module named 'numba'", name="numba"))
    assert main([]) == 1
    assert "'numba', which is not installed" in capsys.readouterr().err


def test_an_interrupt_is_quiet(failing, capsys):
    failing(KeyboardInterrupt())
    assert main([]) == cli.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_a_bug_is_not_hidden(failing):
    failing(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main([])


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "clusterwright", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    # rich notices by itself, and leaves with 1.
    assert done.returncode in {1, cli.BROKEN_PIPE}
    assert done.stderr == b""
