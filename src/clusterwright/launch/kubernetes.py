"""A launch as Kubernetes manifests: a JobSet to train, Deployments or LeaderWorkerSets to serve.

JobSet (jobset.x-k8s.io/v1alpha2) gives every pod of an indexed Job a lasting host name and starts
all of them anew when one fails; Kubeflow's TrainJob is a layer over it that starts torchrun itself,
which `run.sh` does already. Several hosts for one replica are a LeaderWorkerSet
(leaderworkerset.x-k8s.io/v1), for the same reasons. Both are controllers that a cluster must have.
"""

from __future__ import annotations

from clusterwright.errors import InputError
from clusterwright.launch.naming import CLAIM, SPACE, check, check_label, check_mounts
from clusterwright.launch.places import Placed, asked_of, called, said, trains
from clusterwright.launch.pods import FILES, HERE, SHARED_MEMORY, Group, Pod, config_map, image_of
from clusterwright.launch.records import Ask, LaunchFile, Options, Part
from clusterwright.launch.yaml import Noted, Value, documents, yaml

MOST_PODS = 100_000
"""Of an indexed Job: the ``parallelism`` that the Job API takes at most."""

RESTARTS = 3
"""Of all pods of a training run, before somebody should look: what JobSet's own examples give."""

Manifest = dict[str, Value]


def place(name: str, parts: tuple[Part, ...], options: Options) -> Placed:
    """One file for each part, and one for what a person must say.

    Raises
    ------
    InputError
        No image, or a name, a size or a file that Kubernetes does not take.
    """
    check("--namespace", options.namespace, SPACE, "lower-case letters, digits and dashes")
    mounts = _claims(options)
    asks = asked_of(parts)
    files = [_settings(name, asks, options)] if asks else []
    for part in parts:
        _check(name, part, parts)
        label = called(name, part, parts)
        pod = Pod(
            name=label,
            image=image_of(part, options),
            part=part,
            settings=_settings_name(name) if asks else "",
            mounts=mounts,
        )
        training = part.program.port == 0
        made = [config_map(pod), *(_training(pod) if training else _serving(pod))]
        path = "job.yaml" if len(parts) == 1 else f"{part.name}.yaml"
        files.append(LaunchFile(path=path, text=documents([_in(one, options) for one in made])))
    given = " ".join(f"-f {file.path}" for file in files)
    space = f" -n {options.namespace}" if options.namespace else ""
    return Placed(
        files=tuple(files),
        say="Write them into `settings.yaml`." if asks else "",
        # Server-side: what kubectl would remember in an annotation may be too long for one.
        submit=f"kubectl apply --server-side {given}",
        watch="\n".join(_watch(name, part, parts, space) for part in parts),
        stop=f"kubectl delete {given}",
        notes=_notes(parts, options),
    )


def _claims(options: Options) -> dict[str, str]:
    """PersistentVolumeClaims by where they are mounted, which is no place of ours."""
    mounts = check_mounts(options.mounts)
    for where, claim in mounts.items():
        check("--mount", claim, CLAIM, "CLAIM:/where with a claim's name in lower case")
        if where.rstrip("/") in {"", HERE, FILES, SHARED_MEMORY}:
            raise InputError(f"--mount puts {claim} at {where}, which is taken: say another place")
    return mounts


def _check(name: str, part: Part, parts: tuple[Part, ...]) -> None:
    """Names and sizes; room is for the longest name that Kubernetes makes of them."""
    label = called(name, part, parts)
    if part.program.port == 0:
        behind = f"-{part.name}-0-{part.hosts - 1}-abcde"
    else:
        behind = f"-{part.replicas - 1}-{part.hosts - 1}-abcdefghij"
    check_label("--name", label, len(behind))
    if part.hosts > MOST_PODS:
        raise InputError(
            f"{part.name} takes {part.hosts:,} hosts, but an indexed Job of Kubernetes has at most "
            f"{MOST_PODS:,} pods: launch it --on slurm"
        )
    if "/" not in part.device:
        raise InputError(
            f"Kubernetes counts accelerators by their device plugin, and none is known for "
            f"{part.name}'s: launch it --on slurm or --on torchrun"
        )


def _settings_name(name: str) -> str:
    return f"{name}-settings"


def _settings(name: str, asks: tuple[Ask, ...], options: Options) -> LaunchFile:
    """What a person must say, as variables of every pod."""
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _settings_name(name)},
        "data": said(asks),
    }
    return LaunchFile(path="settings.yaml", text=yaml(_in(manifest, options)))


def _in(manifest: Manifest, options: Options) -> Manifest:
    """A manifest in its namespace."""
    metadata = manifest["metadata"]
    if options.namespace and isinstance(metadata, dict):
        return {**manifest, "metadata": {**metadata, "namespace": options.namespace}}
    return manifest


def _training(pod: Pod) -> list[Manifest]:
    part = pod.part
    first = f"{pod.name}-{part.name}-0-0.{pod.name}"
    job: Manifest = {
        "parallelism": part.hosts,
        "completions": part.hosts,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "template": pod.template(Group(rank="JOB_COMPLETION_INDEX", first=first), never=True),
    }
    spec: Manifest = {
        "network": {"enableDNSHostnames": True},
        "failurePolicy": {"maxRestarts": RESTARTS},
        "replicatedJobs": [{"name": part.name, "replicas": 1, "template": {"spec": job}}],
    }
    notes = {"failurePolicy": "One pod fails, all start anew, from the last checkpoint."}
    return [
        {
            "apiVersion": "jobset.x-k8s.io/v1alpha2",
            "kind": "JobSet",
            "metadata": {"name": pod.name},
            "spec": Noted(spec, notes),
        }
    ]


def _serving(pod: Pod) -> list[Manifest]:
    if pod.part.hosts == 1:
        return [_deployment(pod), _service(pod, pod.labels)]
    leaders = {"leaderworkerset.sigs.k8s.io/name": pod.name, **LEADER}
    return [_leaders_and_workers(pod), _service(pod, leaders)]


LEADER: dict[str, Value] = {"app.kubernetes.io/component": "leader"}


def _deployment(pod: Pod) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": pod.name},
        "spec": {
            "replicas": pod.part.replicas,
            "selector": {"matchLabels": pod.labels},
            # A new replica waits for the accelerators of an old one: one goes before one comes.
            "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": pod.template(probes=True),
        },
    }


def _leaders_and_workers(pod: Pod) -> Manifest:
    group = Group(rank="LWS_WORKER_INDEX", first="${LWS_LEADER_ADDRESS}")
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": pod.name},
        "spec": {
            "replicas": pod.part.replicas,
            "leaderWorkerTemplate": {
                "size": pod.part.hosts,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": pod.template(group, labels=LEADER, probes=True),
                "workerTemplate": pod.template(group),
            },
        },
    }


def _service(pod: Pod, selector: dict[str, Value]) -> Manifest:
    port = pod.part.program.port
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": pod.name},
        "spec": {
            "selector": selector,
            "ports": [{"name": "http", "port": port, "targetPort": port}],
        },
    }


def _watch(name: str, part: Part, parts: tuple[Part, ...], space: str) -> str:
    label = f"app.kubernetes.io/name={called(name, part, parts)}"
    pods = part.replicas * part.hosts
    lines = [
        f"kubectl get pods{space} -l {label}",
        f"kubectl logs{space} -f --prefix --max-log-requests={pods} -l {label}",
    ]
    if part.program.port:
        service = f"service/{called(name, part, parts)} {part.program.port}"
        lines.append(f"kubectl port-forward{space} {service}")
    return "\n".join(lines)


def _notes(parts: tuple[Part, ...], options: Options) -> tuple[str, ...]:
    notes = []
    if trains(parts):
        notes.append("The cluster must have JobSet's controller (jobset.sigs.k8s.io)")
    if any(part.program.port and part.hosts > 1 for part in parts):
        notes.append("The cluster must have LeaderWorkerSet's controller (lws.sigs.k8s.io)")
    if len(parts) > 1:
        notes.append(
            "The router runs in the cluster and is told each pod by its own address, which "
            "kubectl get pods -o wide says: a Service would send it to any of them"
        )
    if any(part.hosts > 1 for part in parts) or len(parts) > 1:
        notes.append(
            "How pods reach the fast network (RDMA devices, annotations, NCCL variables) is the "
            "cluster's own: add it to the pod templates, or NCCL falls back to TCP"
        )
    if not options.mounts:
        notes.append(
            "Nothing is mounted, so what a pod writes is lost with it: give --mount CLAIM:/where "
            "for a PersistentVolumeClaim, and name folders below it"
        )
    elif trains(parts):
        notes.append(
            "A pod loses what it writes elsewhere than in its mounts: name the folder for "
            f"checkpoints below {' or '.join(check_mounts(options.mounts))}"
        )
    return tuple(notes)
