"""A launch on disk: all of its files or none, and nobody's files overwritten."""

from __future__ import annotations

from pathlib import Path

from clusterwright.errors import InputError
from clusterwright.launch.records import Launch

MARK = ".clusterwright-launch"
"""A file that says a folder was written by us: its lines are what we wrote there."""


def write_launch(made: Launch, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write the files of a launch into a folder, which is made if need be.

    Parameters
    ----------
    overwrite
        Replace an earlier launch. Other files in the folder are left as they are, and none of
        them is ever replaced.

    Raises
    ------
    InputError
        The folder holds somebody's files, or cannot be written.
    """
    folder = Path(folder)
    _check(made, folder, overwrite=overwrite)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text("\n".join(file.path for file in made.files) + "\n", "utf-8")
        for file in made.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8", newline="\n")
            if file.executable:
                path.chmod(path.stat().st_mode | 0o111)
            written.append(path)
    except OSError as error:
        raise InputError(f"cannot write to the folder {str(folder)!r}: {error.strerror}") from None
    return written


def _check(made: Launch, folder: Path, *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file: name a folder, which may be new")
    mine = _ours(folder)
    taken = sorted(
        file.path for file in made.files if (folder / file.path).exists() and file.path not in mine
    )
    if taken:
        raise InputError(
            f"{str(folder)!r} holds {taken[0]!r}, which no launch wrote there: name another folder"
        )
    if mine and not overwrite:
        raise InputError(
            f"{str(folder)!r} holds an earlier launch: name another folder, or give --overwrite"
        )


def _ours(folder: Path) -> set[str]:
    """What an earlier launch wrote there."""
    try:
        return set((folder / MARK).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return set()
