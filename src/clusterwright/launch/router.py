"""``router.sh``: who users ask where there are several servers.

Sources: ``vllm-router --help`` (vllm-project/router), ``python -m sglang_router.launch_router`` as
``sglang/test/server_fixtures/disaggregation_fixture.py`` of SGLang 0.5.23 starts it, and
``examples/disaggregated/README.md`` of TensorRT-LLM 1.2.
"""

from __future__ import annotations

from collections.abc import Callable

from clusterwright.launch.engine import SIDE
from clusterwright.launch.records import Ask, LaunchFile, Part
from clusterwright.launch.shell import NEEDED, asked
from clusterwright.serving.plan import ServingPlan

POLICIES = {
    "vllm": {
        "round-robin": "round_robin",
        "least-loaded": "power_of_two",
        "prefix-aware": "cache_aware",
    },
    "sglang": {
        "round-robin": "round_robin",
        "least-loaded": "power_of_two",
        "prefix-aware": "cache_aware",
    },
    "tensorrt-llm": {
        "round-robin": "round_robin",
        "least-loaded": "load_balancing",
        "prefix-aware": "kv_cache_aware",
    },
}
"""What each router calls a plan's ways to choose a server."""


def router(plan: ServingPlan, tool: str, parts: tuple[Part, ...]) -> LaunchFile | None:
    """The router's script; None: one server answers, or the tool has no router."""
    servers = sum(part.replicas for part in parts)
    apart = len(parts) > 1
    if servers == 1 or tool not in POLICIES or (tool == "tensorrt-llm" and not apart):
        return None
    service, load = plan.question.service, plan.question.workload
    chosen = service.router or ("prefix-aware" if load.prefix else "least-loaded")
    lines = [
        "#!/usr/bin/env bash",
        f"# Users ask this; it passes requests to the {servers:,} servers, {chosen}.",
        "set -euo pipefail",
        NEEDED,
        *asked(_asks(parts, apart=apart)),
        *_lists(apart=apart),
        *WRITERS[tool](POLICIES[tool][chosen], apart),
    ]
    return LaunchFile(path="router.sh", text="\n".join(lines) + "\n", executable=True)


def how(parts: tuple[Part, ...]) -> str:
    """The command that starts it."""
    if len(parts) > 1:
        return 'PREFILL="http://<host>:<port> …" DECODE="http://<host>:<port> …" bash router.sh'
    return 'SERVERS="http://<host>:<port> …" bash router.sh'


def _asks(parts: tuple[Part, ...], *, apart: bool) -> list[Ask]:
    counts = {part.name: part.replicas for part in parts}
    if apart:
        words = {"prefill": " for prompts", "decode": " that decode"}
        found = [
            Ask(variable=name.upper(), what=_where(counts[name], what))
            for name, what in words.items()
        ]
    else:
        found = [Ask(variable="SERVERS", what=_where(sum(counts.values()), ""))]
    return [*found, Ask(variable="PORT", what="the port to listen on", default="9000")]


def _where(count: int, what: str) -> str:
    if count == 1:
        return f"the address of the server{what}, such as http://host:8000"
    return f"addresses of the {count:,} servers{what}, such as http://host:8000, spaces between"


def _lists(*, apart: bool) -> list[str]:
    names = ("PREFILL", "DECODE") if apart else ("SERVERS",)
    return [f'read -ra {name}_URLS <<< "${{{name}}}"' for name in names]


def _vllm(policy: str, apart: bool) -> list[str]:
    if not apart:
        start = f"exec vllm-router --policy {policy} --host 0.0.0.0"
        return [start + ' --port "${PORT}" --worker-urls "${SERVERS_URLS[@]}"']
    return [
        "ROUTES=()",
        'for url in "${PREFILL_URLS[@]}"; do ROUTES+=(--prefill "${url}"); done',
        'for url in "${DECODE_URLS[@]}"; do ROUTES+=(--decode "${url}"); done',
        f"exec vllm-router --vllm-pd-disaggregation --kv-connector nixl --policy {policy} \\",
        '  --host 0.0.0.0 --port "${PORT}" "${ROUTES[@]}"',
    ]


def _sglang(policy: str, apart: bool) -> list[str]:
    start = f"exec python3 -m sglang_router.launch_router --policy {policy} --host 0.0.0.0"
    if not apart:
        return [start + ' --port "${PORT}" \\', '  --worker-urls "${SERVERS_URLS[@]}"']
    bootstrap = f'"$((${{url##*:}} + {SIDE}))"'
    each = (
        'for url in "${PREFILL_URLS[@]}"; do ROUTES+=(--prefill "${url}" ' + bootstrap + "); done"
    )
    return [
        "ROUTES=()",
        each,
        'for url in "${DECODE_URLS[@]}"; do ROUTES+=(--decode "${url}"); done',
        start + ' --port "${PORT}" \\',
        '  --pd-disaggregation "${ROUTES[@]}"',
    ]


def _tensorrt_llm(policy: str, apart: bool) -> list[str]:
    del apart  # it has a router for pools of their own only
    lines = ['CONFIG="$(mktemp -d)/router.yaml"', "{"]
    lines += ['  echo "hostname: 0.0.0.0"', '  echo "port: ${PORT}"', '  echo "backend: pytorch"']
    for pool, name in (("context_servers", "PREFILL"), ("generation_servers", "DECODE")):
        lines += [
            f'  echo "{pool}:"',
            f'  echo "  num_instances: ${{#{name}_URLS[@]}}"',
            f'  echo "  router: {{type: {policy}}}"',
            '  echo "  urls:"',
            f'  for url in "${{{name}_URLS[@]}}"; do echo "    - \\"${{url#http://}}\\""; done',
        ]
    return [*lines, '} > "${CONFIG}"', 'exec trtllm-serve disaggregated -c "${CONFIG}"']


WRITERS: dict[str, Callable[[str, bool], list[str]]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "tensorrt-llm": _tensorrt_llm,
}
