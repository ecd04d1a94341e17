"""Chunks of a study to the workers of a Ray cluster."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from clusterwright.errors import ClusterwrightError, InputError
from clusterwright.sweep.asking import Answer, Asker, Chunk
from clusterwright.sweep.running import AHEAD, TRIES, Done
from clusterwright.sweep.study import Study

JOINED = "auto"
"""Instead of an address: the cluster that this machine is a node of."""
SAID = 200
"""Letters of what Ray says that are passed on."""


class OnRay:
    """Tasks of a Ray cluster; one whose worker dies is done again by another.

    Parameters
    ----------
    address
        ``host:port`` of a cluster's client server, ``auto`` for the cluster of this machine, or
        nothing for one that is started here and ends with us.
    workers
        Of a cluster that is started here; else as many as it has cores.

    Raises
    ------
    ClusterwrightError
        Ray is not installed.
    """

    def __init__(self, address: str, workers: int) -> None:
        self.address, self.workers = address, workers
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to others
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns
        try:
            import ray
        except ImportError:
            raise ClusterwrightError(
                "--on ray needs Ray, which is not installed: pip install 'clusterwright[ray]'"
            ) from None
        self._ray: Any = ray

    def run(self, study: Study, chunks: Iterable[Chunk]) -> Iterator[Done]:
        """Do chunks as the cluster gets to them."""
        ray = self._ray
        self._connect()
        try:
            work = ray.remote(num_cpus=1, max_retries=TRIES)(_work)
            written = ray.put(msgspec.json.encode(study))
            facts = study.facts().hash
            most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", self.workers)))
            left, running = deque(chunks), dict[Any, Chunk]()
            while left or running:
                while left and len(running) < most:
                    chunk = left.popleft()
                    running[work.remote(written, facts, chunk)] = chunk
                [ready], _ = ray.wait(list(running), num_returns=1)
                yield running.pop(ready), self._result(ready)
        finally:
            ray.shutdown()

    def _connect(self) -> None:
        """Start a cluster here, or join one."""
        ray, quiet = self._ray, {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            if not self.address:
                ray.init(address="local", num_cpus=self.workers, include_dashboard=False, **quiet)
            elif self.address == JOINED:
                ray.init(address="auto", **quiet)
            else:
                ray.init(address=f"ray://{self.address}", **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())[:SAID]
            raise InputError(
                f"no Ray cluster answers at {self.address or 'this machine'}: {said}; give --on "
                f"ray://host:10001, or --on ray for one on this machine"
            ) from None

    def _result(self, ready: Any) -> list[Answer] | str:  # noqa: ANN401 - Ray has no types
        """The answers of a task that ended, or why there are none."""
        ray = self._ray
        try:
            answers: list[Answer] = ray.get(ready)
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
            return f"its worker died {TRIES + 1} times, killed or out of memory"
        except ray.exceptions.RayTaskError as error:
            return " ".join(str(error.cause or error).split())[:SAID]
        except ray.exceptions.RayError as error:
            return f"Ray could not do it: {' '.join(str(error).split())[:SAID]}"
        return answers


_askers: dict[bytes, Asker] = {}
"""Of this worker, by study; kept between its chunks."""


def _work(study: bytes, facts: str, chunk: Chunk) -> list[Answer]:
    """One chunk, on a worker."""
    if study not in _askers:
        decoded = msgspec.json.decode(study, type=Study)
        if decoded.facts().hash != facts:
            raise InputError("a node has other facts in its catalogue: install the same version")
        _askers.clear()
        _askers[study] = Asker(decoded)
    return _askers[study].chunk(chunk)
