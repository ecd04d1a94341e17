"""Names that schedulers take, checked before a scheduler refuses them in words of its own."""

from __future__ import annotations

import re

from clusterwright.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
"""A name that is also a host's: RFC 1035, which JobSet and Services ask of theirs."""

SPACE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
"""A namespace: RFC 1123, which lets a digit begin."""

CLAIM = re.compile(rf"{SPACE.pattern}(\.{SPACE.pattern})*")
"""Any other object of Kubernetes: labels with dots between."""

LABEL_LENGTH = 63
"""Characters of one label of a host's name."""

QUEUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,@+-]*")
TIME = re.compile(r"\d+(-\d+(:\d+){0,2}|(:\d+){0,2})|UNLIMITED|INFINITE", re.IGNORECASE)

IMAGE = re.compile(
    r"([A-Za-z0-9.-]+(:\d+)?/)?"  # registry
    r"[a-z0-9]+([._/-]+[a-z0-9]+)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[0-9a-f]{64})?"
)
"""A container image: the grammar of the distribution project's reference package, in short."""

MOUNT = re.compile(r"(?P<what>[^:,\s]+):(?P<where>/[^:,\s]*)")


def check(option: str, given: str, pattern: re.Pattern[str], right: str) -> None:
    """Refuse what was given if it is not all as a pattern says; nothing given is fine.

    Raises
    ------
    InputError
        With what would be right.
    """
    if given and not pattern.fullmatch(given):
        raise InputError(f"{option} is {given!r}, but must be {right}")


def check_name(name: str) -> None:
    """A name for all places: no spaces, no path, no dash in front."""
    check("--name", name, NAME, "letters, digits, dots, dashes, and begin with a letter or digit")


def check_label(option: str, name: str, room: int) -> None:
    """A name that Kubernetes takes, with room for what it adds behind."""
    most = LABEL_LENGTH - room
    check(option, name, LABEL, "lower-case letters, digits and dashes, and begin with a letter")
    if len(name) > most:
        raise InputError(
            f"{option} is {name!r}, of {len(name)} characters, but Kubernetes has room for {most}: "
            "give a shorter --name"
        )


def check_mounts(mounts: tuple[str, ...]) -> dict[str, str]:
    """What is mounted, by where.

    >>> check_mounts(("shared:/data",))
    {'/data': 'shared'}
    """
    found: dict[str, str] = {}
    for mount in mounts:
        check("--mount", mount, MOUNT, "WHAT:/where, such as shared:/data")
        what, where = mount.split(":")
        if where in found:
            raise InputError(f"--mount puts two things at {where}: give each a place of its own")
        found[where] = what
    return found


def check_image(image: str) -> None:
    """A reference to a container image, such as ``registry/team/image:tag``."""
    check("--image", image, IMAGE, "a container image, such as nvcr.io/nvidia/pytorch:25.09-py3")
