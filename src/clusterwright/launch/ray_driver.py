"""Runs a launch on Ray: `run.sh` on every host of every replica that `layout.json` names.

Ray holds the accelerators, one placement group a replica and one bundle a host, and starts one
actor in each bundle. An actor starts `run.sh`, which is told which host it is on and where the
first one answers; what happens from there is the program's own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

GRACE = 2.0
"""For programs to end before Ray ends them [s]; Ray gives a stopped job three seconds."""


LINGER = 3.0
"""For Ray to hand on what hosts printed last [s]: with the driver gone, nobody would see it."""


class Host:
    """One host of a replica."""

    def __init__(self) -> None:
        self.running: subprocess.Popen[bytes] | None = None

    def address(self) -> tuple[str, int]:
        """Where this host answers, and a port that is free there."""
        import ray

        with socket.socket() as probe:
            probe.bind(("", 0))
            return ray.util.get_node_ip_address(), int(probe.getsockname()[1])

    def run(self, script: str, variables: dict[str, str]) -> int:
        """Run a script to its end; its exit status."""
        # A session of its own, so that all of its processes can be stopped together.
        self.running = subprocess.Popen(  # noqa: S603 (a script of this launch)
            ["bash", script],  # noqa: S607 (the host's own)
            env={**os.environ, **variables},
            start_new_session=True,
        )
        return self.running.wait()

    def stop(self) -> None:
        """Ask all processes of the script to end."""
        if self.running is not None and self.running.poll() is None:
            os.killpg(self.running.pid, signal.SIGTERM)
            self.running.wait()


class Replica:
    """One replica: its hosts, once Ray has room for them."""

    def __init__(self, part: dict[str, Any], index: int) -> None:
        from ray.util.placement_group import placement_group

        self.part = part
        self.name = f"{part['name']} {index}" if part["replicas"] > 1 else part["name"]
        self.port = part["port"] + (index if part["shared"] else 0)
        self.hosts: list[Any] = []
        self.bundle = {"CPU": 1, part["resource"]: part["per_host"]}
        self.group = placement_group([self.bundle] * part["hosts"], strategy="STRICT_SPREAD")

    def run(self) -> int:
        """Run to the end of its first host that fails, or of all; the exit status."""
        import ray

        print(f"{self.name}: waits for {self.part['hosts']} x {self.bundle}", flush=True)
        ray.get(self.group.ready())
        self.hosts = [self._host(index) for index in range(self.part["hosts"])]
        address, free = ray.get(self.hosts[0].address.remote())
        said = {"MASTER_ADDR": address, "MASTER_PORT": str(free)}
        if self.port:
            said["PORT"] = str(self.port)
        print(f"{self.name}: starts at {address}:{self.port or free}", flush=True)
        waiting = [
            host.run.remote(self.part["script"], {**said, "HOST_RANK": str(rank)})
            for rank, host in enumerate(self.hosts)
        ]
        while waiting:
            ended, waiting = ray.wait(waiting)
            status = int(ray.get(ended[0]))
            if status:
                return status
        return 0

    def stop(self) -> list[Any]:
        """Ask all hosts to stop, without waiting."""
        return [host.stop.remote() for host in self.hosts]

    def _host(self, index: int) -> Any:  # noqa: ANN401 (an actor of Ray, untyped)
        """The actor of one bundle: one thread runs the script, another may stop it."""
        import ray
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        resource, count = self.part["resource"], self.part["per_host"]
        claim: dict[str, Any] = (
            {"num_gpus": count} if resource == "GPU" else {"resources": {resource: count}}
        )
        where = PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=index)
        options = {"num_cpus": 1, "max_concurrency": 2, "scheduling_strategy": where}
        return ray.remote(Host).options(**options, **claim).remote()


def main() -> int:
    """Run all replicas; the exit status of one that failed, or 0."""
    # Before Ray is imported: lines that several hosts print alike are each a line of the log.
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    import ray

    # `ray job stop` asks with SIGTERM: leave through `finally`, as on any other end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ray.init(address="auto")
    layout = json.loads(Path(__file__).with_name("layout.json").read_text(encoding="utf-8"))
    replicas = [Replica(part, index) for part in layout for index in range(part["replicas"])]
    threads = ThreadPoolExecutor(len(replicas))
    running = {threads.submit(replica.run): replica for replica in replicas}
    status = 0
    try:
        for ended in as_completed(running):
            status = _end(ended, running[ended]) or status
        time.sleep(LINGER)
    finally:
        stopping = [call for replica in replicas for call in replica.stop()]
        ray.wait(stopping, num_returns=len(stopping), timeout=GRACE)
        threads.shutdown(wait=False, cancel_futures=True)
    return status


def _end(ended: Future[int], replica: Replica) -> int:
    """Say how a replica ended, and end what is left of it."""
    try:
        status = ended.result()
    except Exception as error:  # noqa: BLE001 (whatever it was, the other replicas go on)
        print(f"{replica.name}: {error}", flush=True)
        status = 1
    print(f"{replica.name}: ended with {status}", flush=True)
    replica.stop()
    return status


if __name__ == "__main__":
    # Threads may still wait for hosts that were stopped: nobody waits for them.
    ended = main()
    sys.stdout.flush()
    os._exit(ended)
