"""Randomness named after its use, so that a new consumer shifts nobody else's draws."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derived_seed(seed: int, *path: str | int) -> int:
    """A 63-bit seed for one named use of the root seed."""
    name = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """A numpy generator for one named use of the root seed."""
    return np.random.default_rng(derived_seed(seed, *path))


def torch_stream(seed: int, *path: str | int) -> torch.Generator:
    """A CPU torch generator for one named use of the root seed."""
    import torch

    return torch.Generator().manual_seed(derived_seed(seed, *path))
