"""How busy the machine and a training are, under MLflow's own names for system metrics."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

import psutil

MEGABYTE = 1e6


@dataclass
class SystemMetrics:
    """Samples; CPU percentages cover the time since the previous sample."""

    _processes: dict[int, psutil.Process] = field(default_factory=dict)

    def sample(self) -> dict[str, float]:
        """CPU in percent of all cores, memory and disk of this machine."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage("/")
        return {
            "system/cpu_utilization_percentage": psutil.cpu_percent(interval=None),
            "system/system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system/system_memory_usage_percentage": memory.percent,
            "system/disk_usage_percentage": disk.percent,
        }

    def sample_process(self, pid: int) -> dict[str, float]:
        """CPU in percent of one core, and memory, of one process; nothing once it is gone."""
        try:
            process = self._processes.setdefault(pid, psutil.Process(pid))
            return {
                "system/process_cpu_percentage": process.cpu_percent(interval=None),
                "system/process_memory_megabytes": process.memory_info().rss / MEGABYTE,
            }
        except psutil.Error:
            self._processes.pop(pid, None)
            return {}


def is_alive(pid: int, *, host: str, started: float) -> bool:
    """Whether the process that was `pid` on `host` at `started` (seconds since 1970) still runs."""
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return bool(not zombie and process.create_time() <= started + 1)
    except psutil.Error:
        return False
