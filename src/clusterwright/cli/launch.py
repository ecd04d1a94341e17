"""``clusterwright launch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.cli.answers import Answer
from clusterwright.cli.options import Whole
from clusterwright.launch.api import launch_plan
from clusterwright.launch.folder import write_launch
from clusterwright.launch.records import Options
from clusterwright.report.launch_text import launch_text
from clusterwright.saved_plans import load_any_plan

Flag = Annotated[bool, Parameter(negative=())]


def launch(
    plan: Path,
    folder: Path,
    /,
    *,
    to: str = "",
    on: str = "torchrun",
    name: str = "",
    per_host: Whole = 0,
    image: str = "",
    mount: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    partition: str = "",
    account: str = "",
    time: str = "",
    namespace: str = "",
    overwrite: Flag = False,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    json: Flag = False,
) -> Answer:
    """Write the files that start a plan on a real tool, and what to expect of it.

    Parameters
    ----------
    plan
        A file that ``plan train --save`` or ``plan serve --save`` wrote.
    folder
        Where to write; made if need be.
    to
        The tool. For training: megatron, megatron-bridge, torchtitan, deepspeed; for serving: vllm,
        sglang, tensorrt-llm, llama.cpp.
    on
        What starts it: torchrun (by hand on each host), slurm, kubernetes or ray.
    name
        Name of the job [default: the model's].
    per_host
        Accelerators of one host [default: as the catalogue knows the machine].
    image
        Container image, for kubernetes [default: the tool's own] and slurm [default: none].
    mount
        What its containers see, as WHAT:/where (may be repeated): a PersistentVolumeClaim on
        kubernetes, a folder of the hosts on slurm.
    partition
        Slurm's partition.
    account
        Slurm's account.
    time
        Slurm's time limit, such as 7-00:00:00.
    namespace
        Kubernetes' namespace.
    overwrite
        Replace an earlier launch in the folder.
    catalogue
        A catalogue file of one's own (may be repeated).
    json
        Print the launch as JSON.
    """
    options = Options(
        name=name,
        per_host=per_host,
        image=image,
        mounts=mount,
        partition=partition,
        account=account,
        time=time,
        namespace=namespace,
    )
    made = launch_plan(
        load_any_plan(plan), to=to, on=on, options=options, catalogue=catalogue_with(catalogue)
    )
    write_launch(made, folder, overwrite=overwrite)
    return Answer(made, lambda: launch_text(made, folder), json=json)
