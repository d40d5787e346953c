"""What determines a result's bits besides inputs, parameters and seed."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DEFINING_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "accelerate",
    "diffusers",
    "transformers",
    "numpy",
    "pillow",
)


@cache
def processor() -> str:
    """The CPU model and widest vector extension, e.g. `AMD EPYC 7R13 (avx2)`."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in lines)
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    flags = fields.get("flags", "").split()
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "")
    name = fields.get("model name", platform.machine())
    return f"{name} ({widest})" if widest else name


def environment(*, threads: int, device: str = "cpu") -> dict[str, str | int]:
    """Library versions, processor or GPU model and threads: equal environments give equal bits."""
    versions = {name: _version(name) for name in DEFINING_PACKAGES}
    python = ".".join(platform.python_version_tuple()[:2])
    return {
        **versions,
        "python": python,
        "processor": processor(),
        "device": device,
        "threads": threads,
    }


def _version(package: str) -> str | int:
    try:
        return version(package)
    except PackageNotFoundError:  # a bare accelerator machine has no diffusers
        return "none"


def differences(ours: dict[str, str | int], theirs: dict[str, str | int]) -> list[str]:
    """Name what differs between two environments, e.g. `threads: 1 here, 2 there`."""
    return [
        f"{name}: {ours.get(name)} here, {theirs.get(name)} there"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
