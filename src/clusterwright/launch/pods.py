"""The pod of one host, and the ConfigMap with the files it starts from."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clusterwright.errors import InputError
from clusterwright.launch.naming import check_image
from clusterwright.launch.records import LaunchFile, Options, Part
from clusterwright.launch.running import files_of
from clusterwright.launch.yaml import Noted, Value
from clusterwright.records import Record

FILES, HERE = "/etc/launch", "/launch"
"""Where a pod's files come in, read-only, and where they are copied to, so that it can write."""

SHARED_MEMORY = "/dev/shm"  # noqa: S108 (a mount point, and no file of ours)
"""Where processes of a host hand data to each other; a container has 64 MB of it unless told."""

MOST_BYTES = 2**20
"""Of all files of a ConfigMap [B]."""

LOADING, PERIOD = 3600, 10
"""How long weights may take to load before a pod is given up, and between two probes [s]."""


def image_of(part: Part, options: Options) -> str:
    """The image that a person named, or the tool's own.

    Raises
    ------
    InputError
        There is neither, or it is no reference to an image.
    """
    image = options.image or part.program.image
    if not image:
        raise InputError(f"a pod needs an image with {part.program.tool} in it: give --image")
    check_image(image)
    return image


class Group(Record, frozen=True, kw_only=True):
    """How a pod learns which host of its group it is.

    ``rank``: the variable in which Kubernetes says it. ``first``: the name of the first host.
    """

    rank: str
    first: str


class Pod(Record, frozen=True, kw_only=True):
    """What the pods of a part share.

    ``settings``: a ConfigMap of variables (empty: there is none). ``mounts``: claims by where.
    """

    name: str
    image: str
    part: Part
    settings: str
    mounts: dict[str, str]

    @property
    def labels(self) -> dict[str, Value]:
        """By which they are found."""
        return {"app.kubernetes.io/name": self.name}

    def template(
        self,
        group: Group | None = None,
        *,
        never: bool = False,
        labels: Mapping[str, Value] | None = None,
        probes: bool = False,
    ) -> dict[str, Value]:
        """A pod template.

        Parameters
        ----------
        group
            Of the hosts that work together, where there are several.
        never
            Whether a failed pod stays down, for whoever minds the group.
        labels
            Besides `labels`.
        probes
            Whether it answers requests.
        """
        tolerated = {"key": self.part.device, "operator": "Exists", "effect": "NoSchedule"}
        spec: dict[str, Value] = {
            "containers": [self._container(group, probes=probes)],
            "volumes": self._volumes(),
            "tolerations": [tolerated],
            # A Service named vllm would set VLLM_PORT, which vLLM takes for its own.
            "enableServiceLinks": False,
        }
        if never:
            spec["restartPolicy"] = "Never"
        return {"metadata": {"labels": {**self.labels, **(labels or {})}}, "spec": spec}

    def _container(self, group: Group | None, *, probes: bool) -> dict[str, Value]:
        values: dict[str, Value] = {
            "name": self.part.name,
            "image": self.image,
            "command": ["bash", "-c", self._command(group)],
        }
        if self.settings:
            values["envFrom"] = [{"configMapRef": {"name": self.settings}}]
        values["resources"] = {"limits": {self.part.device: self.part.per_host}}
        values["volumeMounts"] = [
            {"name": "files", "mountPath": FILES},
            {"name": "launch", "mountPath": HERE},
            {"name": "shared-memory", "mountPath": SHARED_MEMORY},
            *({"name": f"mount-{i}", "mountPath": where} for i, where in enumerate(self.mounts)),
        ]
        if probes:
            values |= self._probes()
        note = "Accelerators only: add cpu and memory if the namespace asks for them."
        return Noted(values, {"resources": note})

    def _command(self, group: Group | None) -> str:
        lines = ["set -euo pipefail", f"cp -rL {FILES}/* {HERE}/"]
        if group and self.part.hosts > 1:
            lines.append(f'export HOST_RANK="${{{group.rank}}}" MASTER_ADDR="{group.first}"')
        lines.append(f"exec bash {HERE}/run.sh")
        return "\n".join(lines) + "\n"

    def _volumes(self) -> list[Value]:
        claims: list[Value] = [
            {"name": f"mount-{i}", "persistentVolumeClaim": {"claimName": claim}}
            for i, claim in enumerate(self.mounts.values())
        ]
        return [
            {"name": "files", "configMap": {"name": files_name(self), "items": _items(self.part)}},
            {"name": "launch", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
            *claims,
        ]

    def _probes(self) -> dict[str, Value]:
        program = self.part.program
        probe: dict[str, Value] = {
            "httpGet": {"path": program.health, "port": program.port},
            "periodSeconds": PERIOD,
            "timeoutSeconds": PERIOD,
        }
        return {
            "ports": [{"containerPort": program.port}],
            "startupProbe": {**probe, "failureThreshold": LOADING // PERIOD},
            "readinessProbe": probe,
            "livenessProbe": {**probe, "failureThreshold": 6},
        }


def files_name(pod: Pod) -> str:
    """Of the ConfigMap with a part's files."""
    return f"{pod.name}-files"


def config_map(pod: Pod) -> dict[str, Value]:
    """The files of a part.

    Raises
    ------
    InputError
        They are too large for one.
    """
    files = files_of(pod.part)
    sizes = {file.path: len(file.text.encode()) for file in files}
    if sum(sizes.values()) + sum(map(len, sizes)) > MOST_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise InputError(
            f"the files of {pod.part.name} take {sum(sizes.values()) / MOST_BYTES:.1f} MiB "
            f"({largest} most), but a ConfigMap of Kubernetes holds 1 MiB: launch it --on slurm"
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": files_name(pod)},
        "data": {_key(file): file.text for file in files},
    }


def _key(file: LaunchFile) -> str:
    """What a ConfigMap calls a file: it knows no folders.

    >>> _key(LaunchFile(path="configs/a b.json", text=""))
    'configs__a_b.json'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", file.path.replace("/", "__"))


def _items(part: Part) -> list[Value]:
    """Where a ConfigMap's keys lie as files."""
    return [
        {"key": _key(file), "path": file.path, **({"mode": 0o755} if file.executable else {})}
        for file in files_of(part)
    ]
