"""A launch as a Ray job: `ray_driver` as it is, and the layout that it reads.

The placement groups and actors are Ray's own; the driver only starts `run.sh` in them.
"""

from __future__ import annotations

import json
from importlib.resources import files as resources

from clusterwright.errors import InputError
from clusterwright.launch.places import Placed, asked_of, first_port, folder_of, said
from clusterwright.launch.records import LaunchFile, Options, Part
from clusterwright.launch.yaml import yaml

RESOURCES = {"nvidia.com/gpu": "GPU", "amd.com/gpu": "GPU", "habana.ai/gaudi": "HPU"}
"""What Ray calls what Kubernetes calls so."""


def place(name: str, parts: tuple[Part, ...], options: Options) -> Placed:
    """A driver, its layout, and what a person must say.

    Raises
    ------
    InputError
        Accelerators that Ray does not count.
    """
    del options
    asks = asked_of(parts)
    settings = (
        [LaunchFile(path="settings.yaml", text=yaml({"env_vars": said(asks)}))] if asks else []
    )
    layout = [_laid_out(part, parts) for part in parts]
    driver = resources("clusterwright.launch").joinpath("ray_driver.py").read_text("utf-8")
    given = "--runtime-env settings.yaml " if asks else ""
    return Placed(
        files=(
            *settings,
            LaunchFile(path="layout.json", text=json.dumps(layout, indent=2) + "\n"),
            LaunchFile(path="job.py", text=driver),
        ),
        say="Write them into `settings.yaml`." if asks else "",
        submit=f"ray job submit --no-wait --submission-id {name} {given}--working-dir . "
        "-- python3 job.py",
        watch=f"ray job logs -f {name}\nray status",
        stop=f"ray job stop {name}",
        notes=_notes(parts),
    )


def _notes(parts: tuple[Part, ...]) -> tuple[str, ...]:
    notes = [
        "Say where Ray answers in RAY_API_SERVER_ADDRESS, such as http://head:8265",
        "Ray copies this folder to its hosts and deletes the copies: name folders by whole paths",
    ]
    if any(part.program.port for part in parts):
        notes.append(
            "A replica that fails is not started again (launch --on kubernetes for that); the "
            "job's log says where each answers, which a router before them must be told"
        )
    else:
        notes.append("A run that fails ends the job: submit it again, under another id")
    return tuple(notes)


def _laid_out(part: Part, parts: tuple[Part, ...]) -> dict[str, str | int | bool]:
    if part.device not in RESOURCES:
        raise InputError(
            f"Ray counts no accelerators such as {part.name}'s: launch it --on slurm or "
            "--on torchrun"
        )
    return {
        "name": part.name,
        "script": f"{folder_of(part, parts)}run.sh",
        "replicas": part.replicas,
        "hosts": part.hosts,
        "per_host": part.per_host,
        "resource": RESOURCES[part.device],
        "port": first_port(part, parts) if part.program.port else 0,
        "shared": not part.whole,
    }
