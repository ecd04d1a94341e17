"""The tree of commands. Each is named by a string and imported only when it is called."""

from __future__ import annotations

from typing import NamedTuple

from cyclopts import App


class Command(NamedTuple):
    """One command: the words that call it, where it lives, what ``--help`` says of it."""

    words: str
    target: str
    help: str


GROUPS = {
    "plan": "Search the ways to do a job on a machine; say which fits best, and why.",
    "estimate": "Explain one given way to do a job, loss by loss.",
    "simulate": "Play one given way to do a job out, event by event.",
    "compare": "Put machines side by side on the same work.",
}

COMMANDS = (
    Command(
        "plan train",
        "clusterwright.cli.plan:train",
        "Find the fastest strategy that fits for a training run.",
    ),
    Command(
        "estimate train",
        "clusterwright.cli.estimate:train",
        "Time, memory and losses of one given training strategy.",
    ),
    Command(
        "simulate train",
        "clusterwright.cli.simulate:train",
        "Play one training step out: timeline, trace, idle and memory of every pipeline rank.",
    ),
    Command(
        "simulate power",
        "clusterwright.cli.power:power",
        "Follow the power of a planned job: swings, ramps, what would smooth them.",
    ),
    Command(
        "compare train",
        "clusterwright.cli.compare:train",
        "The same training run on several machines.",
    ),
    Command(
        "plan serve",
        "clusterwright.cli.serve:plan",
        "Find replicas, cuts and formats that keep a promise to users for the least.",
    ),
    Command(
        "plan fleet",
        "clusterwright.cli.serving_fleet:plan",
        "Size a whole service: regions, peaks, headroom, spares.",
    ),
    Command(
        "estimate serve",
        "clusterwright.cli.serve:estimate",
        "Latencies, rates and the parts of a step of one given deployment.",
    ),
    Command(
        "simulate serve",
        "clusterwright.cli.serve:estimate",
        "The same, request by request: a trace, or requests drawn from means.",
    ),
    Command(
        "compare serve",
        "clusterwright.cli.serve:compare",
        "The same traffic on several kinds of accelerators.",
    ),
    Command(
        "fleet",
        "clusterwright.cli.fleet:fleet",
        "What failures leave of a long run's time: goodput, checkpoints, spares.",
    ),
    Command(
        "site",
        "clusterwright.cli.site:site",
        "What a machine's building draws, costs and emits; network, carbon, money.",
    ),
    Command(
        "claims",
        "clusterwright.cli.claims:claims",
        "What press, vendors and keynotes say of machines, computed again.",
    ),
    Command(
        "build",
        "clusterwright.cli.build:build",
        "How long a cluster takes to build: the longest path, accelerators month by month.",
    ),
    Command(
        "scorecard",
        "clusterwright.cli.scorecard:scorecard",
        "Evaluate accelerators in three layers, and count fleets in H100s.",
    ),
    Command(
        "catalogue",
        "clusterwright.cli.catalogue:app",
        "Look into, and check, the facts: accelerators, clusters, models, sources.",
    ),
    Command(
        "diagnose",
        "clusterwright.cli.diagnose:diagnose",
        "Read a run's logs, hold them against its plan, say what differs and what to try.",
    ),
    Command(
        "validate",
        "clusterwright.cli.validate:validate",
        "Predict measured runs and compare, worst first.",
    ),
    Command(
        "calibrate",
        "clusterwright.cli.calibrate:app",
        "Measure this machine, and fit efficiency profiles to measured times.",
    ),
    Command(
        "verify",
        "clusterwright.cli.verify:verify",
        "Run small training and inference steps on this machine, and predict them.",
    ),
    Command(
        "launch",
        "clusterwright.cli.launch:launch",
        "Write the files that start a plan on a real tool: training or serving.",
    ),
    Command(
        "report",
        "clusterwright.cli.report:report",
        "Explain a saved plan in one file to send: HTML, PDF, a picture or Markdown.",
    ),
    Command(
        "sweep",
        "clusterwright.cli.sweep:sweep",
        "Ask one kind of question many times over, on all cores or a Ray cluster.",
    ),
    Command(
        "web",
        "clusterwright.web.command:web",
        "Serve all of this as pages on this machine, with pictures.",
    ),
    Command(
        "replay",
        "clusterwright.cli.replay:replay",
        "Compute a saved plan again and tell whether it is the same.",
    ),
)


def build() -> App:
    """Put the tree together without importing any command."""
    root = App(
        name="clusterwright",
        help="What can this machine do for this model, and what will it take?",
        version=_version,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    groups = {name: App(name=name, help=text) for name, text in GROUPS.items()}
    for group in groups.values():
        root.command(group)
    for command in COMMANDS:
        *above, name = command.words.split()
        parent = groups[above[0]] if above else root
        parent.command(command.target, name=name, help=command.help)
    return root


def _version() -> str:
    import clusterwright

    return clusterwright.__version__
