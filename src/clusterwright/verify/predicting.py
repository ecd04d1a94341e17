"""What the planner says of a case on the measured machine: the same calls that every plan makes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clusterwright.asking import ask_on
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.facts import engine_named, shipped
from clusterwright.inference import Deployment
from clusterwright.planner import estimate_question
from clusterwright.serving.server import Pool, Server, ServingFacts
from clusterwright.serving.steady import decode_step, prompt_time
from clusterwright.verify.cases import Case

PRECISIONS = ("fp32", "bf16", "fp16")


class Machine(NamedTuple):
    """A machine of a catalogue file that `calibrate measure` wrote.

    ``processes``, each of ``threads`` threads, were measured at once.
    """

    name: str
    catalogue: Catalogue
    device: str
    precision: str
    processes: int
    threads: int
    processor: str


class Prediction(NamedTuple):
    """Seconds of a step, and of each of its parts. [s]"""

    seconds: float
    parts: dict[str, float]


def machine_of(catalogue: Catalogue, name: str = "") -> Machine:
    """Find the measured machine of a catalogue.

    Parameters
    ----------
    catalogue
        With a file of one's own.
    name
        Which, where there are several.

    Raises
    ------
    InputError
        There is none, or it is not said which of several.
    """
    own = set(catalogue.entries("clusters")) - set(shipped().entries("clusters"))
    complete = sorted(
        own & set(catalogue.entries("software")) & set(catalogue.entries("inference"))
    )
    if not complete or (name and name not in complete):
        what = f"no machine called {name!r}" if name else "no measured machine"
        known = f": it has {', '.join(complete)}" if complete else ""
        raise InputError(
            f"the catalogue file has {what}{known}; write one with "
            f"`clusterwright calibrate measure --out my-machine.toml`"
        )
    if not name and len(complete) > 1:
        raise InputError(f"which machine? give --machine, one of {', '.join(complete)}")
    found = name or complete[0]
    entry, cluster = catalogue.entry("accelerators", found), catalogue.cluster(found)
    device = "cpu" if entry.text("kind") == "cpu" else "cuda"
    peaks = cluster.accelerator.peaks
    return Machine(
        name=found,
        catalogue=catalogue,
        device=device,
        precision=next(name for name in PRECISIONS if name in peaks),
        processes=cluster.count,
        threads=(cluster.accelerator.num_units or 1) if device == "cpu" else 1,
        processor=entry.name.rpartition(",")[0],
    )


def predict(case: Case, machine: Machine) -> Prediction:
    """Predict a case from the measured kernels, memory and collectives alone."""
    return _training(case, machine) if case.trains else _inference(case, machine)


def _training(case: Case, machine: Machine) -> Prediction:
    question = ask_on(
        case.model(),
        machine.catalogue.cluster(machine.name),
        catalogue=machine.catalogue,
        software=machine.name,
        precision=machine.precision,
        sequence_length=case.length,
        batch_sequences=case.batch,
    )
    found = estimate_question(question, **case.strategy(machine.processes))
    return Prediction(found.step_time, {term.name: term.time for term in found.waterfall})


def _inference(case: Case, machine: Machine) -> Prediction:
    catalogue = machine.catalogue
    server = Server(
        case.model(),
        catalogue.cluster(machine.name, 1),
        engine_named(catalogue, machine.name),
        ServingFacts(catalogue),
    )
    wide = machine.precision
    pool = Pool(deployment=Deployment(weights=wide, cache=wide, most=case.batch))
    kind = server.replica(pool, case.length + case.tokens)
    if case.way == "prefill":
        nobody = np.zeros(1)
        return Prediction(float(prompt_time(kind, nobody, float(case.length), nobody)[0]), {})
    sequences, context = np.array([float(case.batch)]), case.length + 0.5 * (case.tokens + 1)
    whole = float(decode_step(kind, sequences, context)[0])
    alone = float(np.interp(case.batch, kind.times.rows, kind.times.decode))
    return Prediction(whole, {"attention": whole - alone, "the rest": alone})
