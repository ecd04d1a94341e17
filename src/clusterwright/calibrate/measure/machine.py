"""The machine that is measured, in figures: processor or accelerator, memory, clock, versions."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

from clusterwright.records import Record

DeviceKind = Literal["cpu", "cuda"]

SAME = ("device", "name", "cores", "processes", "threads", "precision", "torch")
"""What must be the same for measurements to stand in one journal."""
VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "HygonGenuine": "Hygon", "ARM": "Arm"}
SMI_QUERY = "clocks.max.sm,clocks.sm,power.limit,power.draw,driver_version"


class MachineFacts(Record, frozen=True, kw_only=True):
    """What is measured, and how it is set up.

    ``device``: ``cpu``, or ``cuda`` for GPUs of NVIDIA and AMD alike. ``cores``: of the host.
    ``processes``, each of ``threads`` threads (or one GPU), compute at once. ``memory_bytes``: of
    one process's device [B], ``units``: its cores or multiprocessors, ``cache_bytes``: its last
    cache, as the system says. [B]
    ``clock``: as read during the sweep [Hz]; ``power``: its limit, where readable. [W]
    ``versions``: of PyTorch, drivers and libraries.
    """

    device: DeviceKind
    name: str
    vendor: str
    cores: int
    processes: int
    threads: int
    precision: str
    torch: str
    memory_bytes: float
    units: int = 1
    cache_bytes: float | None = None
    clock: float | None = None
    power: float | None = None
    versions: dict[str, str] = {}

    def differences(self, other: MachineFacts) -> str:
        """Return in words what is another machine's, or set up in another way; '': nothing."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in SAME)
        return ", ".join(f"{name}: {old}, now {new}" for name, old, new in pairs if old != new)


def describe(
    torch: Any,  # noqa: ANN401 - the module, which may be absent where this is read
    *,
    device: DeviceKind,
    processes: int,
    threads: int,
    precision: str,
) -> MachineFacts:
    """Read what the system says of itself.

    Parameters
    ----------
    torch
        The imported module.
    device, processes, threads, precision
        How the sweep is set up.
    """
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    common: dict[str, Any] = {
        "device": device,
        "cores": os.cpu_count() or 1,
        "processes": processes,
        "threads": threads,
        "precision": precision,
        "torch": str(torch.__version__),
    }
    if device == "cpu":
        name, vendor, clock = _processor()
        return MachineFacts(
            name=name,
            vendor=vendor,
            memory_bytes=_host_memory() / processes,
            units=threads,
            clock=clock,
            power=_rapl_limit(),
            versions=versions | {"system": platform.system()},
            **common,
        )
    found = torch.cuda.get_device_properties(0)
    read = _gpu_readings()
    amd = getattr(torch.version, "hip", None)
    versions |= {"hip": amd} if amd else {"cuda": str(torch.version.cuda)}
    return MachineFacts(
        name=found.name,
        vendor="AMD" if amd else "NVIDIA",
        memory_bytes=float(found.total_memory),
        units=int(found.multi_processor_count),
        cache_bytes=float(getattr(found, "L2_cache_size", 0)) or None,
        clock=read.get("clock"),
        power=read.get("power"),
        versions=versions,
        **common,
    )


def _processor() -> tuple[str, str, float | None]:
    """Name, vendor and clock of the processor; the clock as the system reads it now. [Hz]"""
    path = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    vendor = fields.get("vendor_id", "")
    clock = fields.get("cpu MHz")
    return (
        fields.get("model name") or platform.processor() or platform.machine(),
        VENDORS.get(vendor, vendor or "unknown"),
        float(clock) * 1e6 if clock else None,
    )


def _host_memory() -> float:
    """Memory of the host. [B]"""
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _rapl_limit() -> float | None:
    """Power limit of the processor package by the kernel's RAPL interface, where readable. [W]"""
    path = Path("/sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw")
    try:
        return float(path.read_text(encoding="ascii")) * 1e-6
    except (OSError, ValueError):
        return None


def _gpu_readings() -> dict[str, float]:
    """Clock [Hz] and power limit [W] by ``nvidia-smi``, nothing where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            [tool, f"--query-gpu={SMI_QUERY}", "--format=csv,noheader,nounits", "--id=0"],
            capture_output=True,
            text=True,
            timeout=20.0,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_readings(answer)


def parse_readings(answer: str) -> dict[str, float]:
    """Return clock and power limit from a line of ``nvidia-smi``, without what it does not know.

    >>> parse_readings("1980, 1755, 700.00, 113.05, 570.86")
    {'clock': 1755000000.0, 'power': 700.0}
    >>> parse_readings("[N/A], [N/A], [N/A], 10, 570.86")
    {}
    """
    cells = [cell.strip() for cell in answer.splitlines()[0].split(",")] if answer.strip() else []
    found = {}
    for name, place, unit in (("clock", 1, 1e6), ("power", 2, 1.0)):
        try:
            found[name] = float(cells[place]) * unit
        except (IndexError, ValueError):
            continue
    return found
