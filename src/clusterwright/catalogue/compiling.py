"""The authored catalogue to the file that is shipped.

Run as ``python -m clusterwright.catalogue.compiling``. The result is deterministic: the same TOML
gives the same bytes. ``--check`` writes nothing and fails where the shipped file is stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from clusterwright.catalogue.authoring import read_folder
from clusterwright.catalogue.schema import read_schema
from clusterwright.errors import CatalogueError, ClusterwrightError

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = 1
"""Raised when readers of an older ``catalogue.json`` could not understand a newer one."""
SHIPPED = Path(__file__).parents[1] / "data" / "catalogue.json"
AUTHORED = Path(__file__).parents[3] / "catalogue"


def compile_catalogue(root: Path = AUTHORED) -> bytes:
    """Return the bytes of ``catalogue.json``, one entry per line.

    Raises
    ------
    CatalogueError
        With all that is wrong in the authored files.
    """
    if not (root / "schema").is_dir():
        raise CatalogueError(f"{root}: no authored catalogue here; run this in the repository")
    schema = read_schema(root / "schema")
    entries = read_folder(root, schema).check()
    lines = [f'{{"format":{FORMAT},', f'"schema":{_dump(msgspec.to_builtins(schema))},']
    kinds = []
    for kind, by_id in sorted(entries.items()):
        rows = [f"{json.dumps(name)}:{_dump(by_id[name])}" for name in sorted(by_id)]
        kinds.append(f"{json.dumps(kind)}:{{\n" + ",\n".join(rows) + "}")
    lines.append('"entries":{\n' + ",\n".join(kinds) + "}}\n")
    return "\n".join(lines).encode()


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def main(words: Sequence[str] | None = None) -> int:
    """Compile and write, or with ``--check`` compare; return the exit code."""
    check = "--check" in (sys.argv[1:] if words is None else words)
    try:
        fresh = compile_catalogue()
    except ClusterwrightError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    stale = not SHIPPED.is_file() or SHIPPED.read_bytes() != fresh
    if check and stale:
        print(f"{SHIPPED.name} is stale: run `make data`", file=sys.stderr)
        return 1
    if stale:
        SHIPPED.parent.mkdir(exist_ok=True)
        SHIPPED.write_bytes(fresh)
        print(f"wrote {SHIPPED.name}: {len(fresh):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
