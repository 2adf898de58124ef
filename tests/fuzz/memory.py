"""How much memory the processes of a worker take, and took at most."""

from __future__ import annotations

from pathlib import Path


def processes(pid: int) -> list[int]:
    """A worker's process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def forget_peak(pid: int) -> None:
    """From now on the peak counts anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def resident(pid: int) -> int:
    """MiB now."""
    return _read(pid, "VmRSS")


def peak(pid: int) -> int:
    """MiB at most, since it was forgotten."""
    return _read(pid, "VmHWM")


def _read(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) // 1024
    return 0
