"""Every manifest of a launch is taken by the published schemas, strictly.

Core kinds by kubernetes-validate, which holds Kubernetes' own schemas and refuses unknown keys.
JobSet by the models of kubeflow-trainer-api (JobSet v1alpha2), which check types but pass over keys
that they do not know: what they write back must therefore be what they read. LeaderWorkerSet has no
such package: its keys are those of ``leaderworkerset_types.go`` (kubernetes-sigs/lws, v1), and its
pod templates are checked as core ones.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from place_cases import OPTIONS, launches, meeting

from clusterwright.launch.kubernetes import place

pytestmark = pytest.mark.against

VERSION = "1.33"
GROUP_KEYS = {
    "replicas",
    "leaderWorkerTemplate",
    "rolloutStrategy",
    "startupPolicy",
    "networkConfig",
}
TEMPLATE_KEYS = {"leaderTemplate", "workerTemplate", "size", "restartPolicy", "subGroupPolicy"}
RESTARTS = {"RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None", "Default"}


def core(manifest: dict[str, Any]) -> None:
    """Refuse what Kubernetes' schemas do not have."""
    validate = pytest.importorskip("kubernetes_validate")
    validate.validate(manifest, VERSION, strict=True)


def template(value: dict[str, Any]) -> None:
    core({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": value})


def jobset(manifest: dict[str, Any]) -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models")
    read = models.JobsetV1alpha2JobSet.from_dict(manifest)
    assert read.to_dict() == manifest
    for job in manifest["spec"]["replicatedJobs"]:
        spec = job["template"]["spec"]
        core({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": spec})


def group(manifest: dict[str, Any]) -> None:
    assert manifest["apiVersion"] == "leaderworkerset.x-k8s.io/v1"
    spec = manifest["spec"]
    assert set(spec) <= GROUP_KEYS
    inner = spec["leaderWorkerTemplate"]
    assert set(inner) <= TEMPLATE_KEYS
    assert inner["restartPolicy"] in RESTARTS
    assert inner["size"] >= 1
    template(inner["leaderTemplate"])
    template(inner["workerTemplate"])


KINDS = {"JobSet": jobset, "LeaderWorkerSet": group}


def manifests(parts: Any) -> list[dict[str, Any]]:
    files = place("job", parts, OPTIONS["kubernetes"]).files
    return [manifest for file in files for manifest in yaml.safe_load_all(file.text)]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=launches())
def test_no_manifest_of_any_parts_is_refused(parts: Any) -> None:
    for manifest in manifests(parts):
        KINDS.get(manifest["kind"], core)(manifest)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", ("spec", "template", "spec", "volumes", 0)),
        ("JobSet", ("spec", "failurePolicy")),
        ("JobSet", ("spec", "replicatedJobs", 0, "template", "spec", "template", "spec")),
        ("LeaderWorkerSet", ("spec", "leaderWorkerTemplate", "workerTemplate", "spec")),
    ],
)
def test_a_misspelt_key_is_noticed(kind: str, path: tuple[Any, ...]) -> None:
    """The checks above can fail."""
    part = {
        "Deployment": meeting(1, port=8000),
        "JobSet": meeting(2),
        "LeaderWorkerSet": meeting(2, port=8000),
    }[kind]
    found = next(one for one in manifests((part,)) if one["kind"] == kind)
    inner: Any = found
    for step in path:
        inner = inner[step]
    inner["misspelt"] = 1
    with pytest.raises(Exception, match=r"misspelt|failurePolicy"):
        KINDS.get(kind, core)(found)
