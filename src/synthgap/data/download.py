"""Fetch the published sets that torchvision can fetch; it checks their md5."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from synthgap.errors import DataError


def download(name: str, folder: Path) -> None:
    """Download set `name` below `folder`; what is there already is not fetched again.

    Raises:
        DataError: the network or the archive fails; says how to go on without a network.
    """
    try:
        FETCH[name](str(folder))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{name}: torchvision cannot download it ({reason}); rerun, or unpack it where there "
            f"is a network and `synthgap data import {name} --from-folder PATH`"
        ) from error


def _cifar10(folder: str) -> None:
    from torchvision.datasets import CIFAR10

    CIFAR10(folder, download=True)


def _pets(folder: str) -> None:
    from torchvision.datasets import OxfordIIITPet

    OxfordIIITPet(folder, download=True)


def _flowers(folder: str) -> None:
    from torchvision.datasets import Flowers102

    Flowers102(folder, download=True)


FETCH: Mapping[str, Callable[[str], None]] = {
    "cifar10": _cifar10,
    "flowers": _flowers,
    "pets": _pets,
}
