"""The pages: each a command of the command line, with examples that fill its form."""

from __future__ import annotations

from clusterwright.web.page import Example, Page
from clusterwright.web.pages_saved import (
    ACCURACY,
    ACCURACY_OF_SERVING,
    LOAD_CURVE,
    POWER,
    SAVED,
    SERVING,
)

META = {"model": "llama-3.1-405b", "cluster": "meta-24k"}
META_RUN = {**META, "accelerators": "16384", "tokens": "15.6T"}
COLOSSUS = {"model": "gpt-4-class-1.8t", "cluster": "colossus1-b", "tokens": "13T"}
CHAT = {"rate": "20/s", "input": "1000", "output": "300", "ttft": "1s", "tpot": "50ms"}
SEARCH = {"rate": "320k/s", "input": "512", "output": "128", "accelerator": "a100"}
PHONE = {"device": "metavertu-2", "weights": "q4-k-m", "input": "512", "output": "128"}
ENFLAME = {"target": "enflame-1280", "region": "shanghai", "pue": "1.1"}

PAGES = (
    Page(
        path="/plan/train",
        group="Training",
        title="Plan a run",
        about="The fastest strategy that fits for a training run, and why.",
        view="training:plan",
        open=("model", "cluster", "accelerator", "accelerators", "tokens", "precision"),
        examples=(
            Example(title="Llama 3.1 405B on Meta's 16,384 H100", query=META_RUN),
            Example(title="GPT-4's size on Colossus", query=COLOSSUS),
            Example(
                title="The same on 2,000 Blackwell",
                query={**COLOSSUS, "cluster": "blackwell-2000"},
            ),
            Example(
                title="Eight GPUs, an 8B model",
                query={
                    "model": "llama-3.1-8b",
                    "accelerator": "h100",
                    "accelerators": "8",
                    "tokens": "1B",
                    "method": "lora",
                },
            ),
        ),
        hidden=("sites", "outer", "inner-steps", "exchange", "stay"),
    ),
    Page(
        path="/plan/serve",
        group="Serving",
        title="Plan a service",
        about="Replicas, cuts and formats that keep a promise to users for the least.",
        view="serving:plan",
        seconds=120.0,
        open=("model", "accelerator", "rate", "input", "output", "ttft", "tpot"),
        examples=(
            Example(
                title="Llama 3.1 70B for a chat",
                query={"model": "llama-3.1-70b", "accelerator": "h100", **CHAT},
            ),
            Example(
                title="DeepSeek V3, 500 requests a second",
                query={"model": "deepseek-v3", "accelerator": "h200", **CHAT, "rate": "500/s"},
            ),
            Example(title="A search engine's queries", query={"model": "llama-2-70b", **SEARCH}),
        ),
    ),
    Page(
        path="/estimate/train",
        group="Training",
        title="One step",
        about="Time, memory and losses of one given training strategy.",
        view="training:estimate",
        open=("model", "cluster", "accelerator", "accelerators", "tp", "pp", "vpp", "zero"),
        examples=(
            Example(
                title="Llama 3.1 405B, tp 8, pp 16",
                query={**META, "accelerators": "16384", "tp": "8", "pp": "16", "vpp": "8"},
            ),
        ),
    ),
    Page(
        path="/simulate/train",
        group="Training",
        title="Play a step out",
        about="One training step, operation by operation, on every pipeline rank.",
        view="training:simulation",
        open=("model", "accelerator", "accelerators", "tp", "pp", "vpp", "schedule"),
        examples=(
            Example(
                title="Llama 3.1 70B, interleaved over 8 stages",
                query={
                    "model": "llama-3.1-70b",
                    "accelerator": "h100",
                    "accelerators": "64",
                    "tp": "4",
                    "pp": "8",
                    "vpp": "2",
                    "schedule": "interleaved",
                    "batch-sequences": "64",
                    "recompute": "selective",
                },
            ),
        ),
    ),
    Page(
        path="/estimate/serve",
        group="Serving",
        title="One deployment",
        about="Latencies, rates and the parts of a step of one given deployment.",
        view="serving:estimate",
        open=("model", "accelerator", "rate", "input", "output", "ttft", "tpot", "tp", "replicas"),
        files={"plan": SERVING},
        examples=(
            Example(
                title="Llama 3.1 70B, tp 8",
                query={
                    "model": "llama-3.1-70b",
                    "accelerator": "h100",
                    **CHAT,
                    "tp": "8",
                    "replicas": "2",
                },
            ),
            Example(title="The phone", query={"model": "llama-3.2-1b", **PHONE}),
        ),
    ),
    LOAD_CURVE,
    Page(
        path="/compare/train",
        group="Training",
        title="Compare machines",
        about="The same training run on several machines.",
        view="training:compare",
        seconds=180.0,
        open=("model", "machines", "tokens", "by"),
        examples=(
            Example(
                title="2,000 Blackwell against 8,000 Hopper",
                query={
                    "model": "gpt-4-class-1.8t",
                    "machines": "blackwell-2000 hopper-8000",
                    "tokens": "13T",
                },
            ),
            Example(
                title="Six accelerators, 1,024 of each",
                query={
                    "model": "llama-3.1-70b",
                    "machines": "h100 h200 b200 mi300x mi355x ascend-910b2",
                    "accelerators": "1024",
                    "tokens": "15T",
                },
            ),
        ),
    ),
    Page(
        path="/compare/serve",
        group="Serving",
        title="Compare machines",
        about="The same traffic on several kinds of accelerators.",
        view="serving:compare",
        seconds=180.0,
        open=("model", "machines", "rate", "input", "output", "ttft", "tpot", "by"),
        examples=(
            Example(
                title="Four accelerators, one chat",
                query={"model": "llama-3.1-70b", "machines": "h100 h200 b200 mi300x", **CHAT},
            ),
        ),
    ),
    Page(
        path="/plan/fleet",
        group="Serving",
        title="Regions and spares",
        about="Regions, peaks, headroom and spares of a service.",
        view="serving:fleet",
        seconds=120.0,
        open=("model", "accelerator", "rate", "input", "output", "ttft", "tpot", "regions"),
        examples=(
            Example(
                title="Three regions, one of which may be lost",
                query={
                    "model": "llama-3.1-70b",
                    "accelerator": "h100",
                    **CHAT,
                    "rate": "2000/s",
                    "regions": "3",
                    "lose-region": "true",
                    "price": "$2.10",
                },
            ),
        ),
    ),
    Page(
        path="/fleet",
        group="Running",
        title="A long run",
        about="What failures leave of a long run's time: goodput, checkpoints, spares.",
        view="places:run",
        open=("target", "accelerator", "accelerators", "model", "days", "spares"),
        examples=(
            Example(
                title="54 days on 16,384 H100",
                query={
                    "target": "meta-24k",
                    "accelerators": "16384",
                    "model": "llama-3.1-405b",
                    "days": "54d",
                },
            ),
        ),
    ),
    POWER,
    Page(
        path="/site",
        group="Running",
        title="A site",
        about="What a machine's building draws, costs and emits, and of what its network consists.",
        view="places:site",
        open=("target", "accelerator", "accelerators", "region", "cooling", "pue"),
        examples=(
            Example(title="Colossus in Memphis", query={"target": "colossus1-b"}),
            Example(title="1,280 cards at PUE 1.1", query=ENFLAME),
        ),
    ),
    Page(
        path="/build",
        group="Running",
        title="A build-out",
        about="How long a cluster takes to build: the longest path, accelerators month by month.",
        view="places:build",
        open=("cluster", "path", "bridge", "from", "start", "shifts", "then"),
        examples=(
            Example(
                title="Colossus, 122 days and twice as many",
                query={
                    "cluster": "colossus1-b",
                    "path": "retrofit",
                    "bridge": "turbines,batteries",
                    "from": "construction",
                    "shifts": "3",
                    "then": "200000",
                },
            ),
        ),
    ),
    Page(
        path="/scorecard",
        group="Facts",
        title="Scorecard",
        about="Accelerators in three layers, operators, jobs, and all together; fleets in H100s.",
        view="facts:scores",
        seconds=180.0,
        open=("names", "baseline"),
        examples=(
            Example(
                title="Five accelerators of four vendors",
                query={"names": "h100 b200 mi355x ascend-910b2 tpu-v5p"},
            ),
            Example(
                title="Colossus 1 of 2025, three kinds, in H100s", query={"names": "colossus1-d"}
            ),
        ),
    ),
    Page(
        path="/claims",
        group="Facts",
        title="Claims",
        about="What press, vendors and keynotes say of machines, computed again.",
        view="facts:checks",
        seconds=180.0,
        open=("name", "document"),
        examples=(
            Example(title="4.1 million A100", query={"name": "C44"}),
            Example(title="All of one keynote", query={"document": "marathon"}),
        ),
    ),
    Page(
        path="/catalogue/list",
        group="Facts",
        title="Catalogue",
        about="All facts by kind: every figure with its source, date and disagreement.",
        view="facts:entries",
        open=("kind",),
        examples=tuple(
            Example(title=kind, query={"kind": kind})
            for kind in ("accelerators", "clusters", "models", "devices", "prices", "regions")
        ),
        at_once=True,
    ),
    Page(
        path="/catalogue/show",
        group="Facts",
        title="One entry",
        about="All that is known of one thing, each figure with its source.",
        view="facts:entry",
        open=("name",),
        examples=(
            Example(title="NVIDIA H100", query={"name": "h100"}),
            Example(title="Meta's 24k cluster", query={"name": "meta-24k"}),
        ),
    ),
    ACCURACY,
    ACCURACY_OF_SERVING,
    *SAVED,
)

HOME = "/"
OPENAPI = "/openapi"
BY_PATH = {page.path: page for page in PAGES}
ELSEWHERE_SECONDS = 30.0
"""What may be spent on a path that is no page. [s]"""
GROUPS = {
    group: [page for page in PAGES if page.group == group and page.listed]
    for group in dict.fromkeys(page.group for page in PAGES)
}
"""Pages by the group that they stand in, in order."""


def seconds_of(path: str) -> float:
    """What a question may take: a page's own time, or little where there is no page. [s]"""
    return BY_PATH[path].seconds if path in BY_PATH else ELSEWHERE_SECONDS
