"""What a launch wrote, and what to do next."""

from __future__ import annotations

from pathlib import Path

from clusterwright.launch.records import Launch
from clusterwright.report.folding import fold


def launch_text(made: Launch, folder: Path) -> str:
    """The files, the command, what must be said, and what a person should know."""
    count = sum(part.accelerators for part in made.parts)
    lines = [
        f"{made.tool} on {made.on}, {count:,} accelerators: {len(made.files)} files in {folder}"
    ]
    lines += [f"  {file.path}" for file in made.files]
    needed = {
        ask.variable: ask.what
        for part in made.parts
        for ask in part.program.asks
        if not ask.default
    }
    if needed:
        width = max(map(len, needed))
        lines += ["", f"Say first. {made.say.replace('`', '')}"]
        lines += [f"  {name:{width}}  {what}" for name, what in needed.items()]
    lines += ["", "Then, in that folder", *(f"  {line}" for line in made.submit.splitlines())]
    if made.notes:
        lines += ["", "Know this"]
        for note in made.notes:
            lines += [f"  {line}" for line in fold(note, 2)]
    lines += ["", f"What to expect, and when to worry: {folder / 'README.md'}"]
    return "\n".join(lines)
