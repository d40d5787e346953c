"""Saved networks, one format for all: `<stem>.safetensors`, and `<stem>.json` with its sha256.

Nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from synthgap.errors import CheckpointError, ParamsError
from synthgap.jobs import file_digest, read_json, whole_file, write_json

SUFFIX = ".safetensors"


def save_model(stem: Path, model: nn.Module, about: Mapping[str, Any]) -> None:
    """Write a whole network, as `save_state` does."""
    save_state(stem, model.state_dict(), about)


def save_state(stem: Path, state: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write a state dict, or a part of one, and then its description, which means complete."""
    from safetensors.torch import save as serialise

    weights = stem.with_name(f"{stem.name}{SUFFIX}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with whole_file(weights) as partial:
        partial.write_bytes(serialise(tensors))
    write_json(
        stem.with_name(f"{stem.name}.json"), {**about, "weights_sha256": file_digest(weights)}
    )


def load_weights(stem: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_state` wrote: (state, about).

    Raises:
        CheckpointError: a file is missing, or the weights are not those the description names.
    """
    weights, description = (
        stem.with_name(f"{stem.name}{SUFFIX}"),
        stem.with_name(f"{stem.name}.json"),
    )
    for path in (description, weights):
        if not path.is_file():
            raise CheckpointError(f"{path}: missing; rerun the stage that writes it")
    about = cast("dict[str, Any]", read_json(description))
    found = file_digest(weights)
    if found != about.get("weights_sha256"):
        raise CheckpointError(
            f"{weights}: sha256 {found[:12]}, expected {str(about.get('weights_sha256'))[:12]} "
            f"({description.name}); it was changed after it was written, fetch it again"
        )
    return read_safetensors(weights), about


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors file, made here or elsewhere, by name.

    Raises:
        CheckpointError: it is none.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not safetensors ({error}), expected a network's weights; fetch it again"
        ) from error


def weights_file(location: str, *, root: Path, place: str) -> Path:
    """The .safetensors file that `place` of params.yaml names, relative to `root`.

    Raises:
        ParamsError: there is no such file.
    """
    path = root / Path(location).expanduser()
    if not path.is_file() or path.suffix != SUFFIX:
        raise ParamsError(
            f"{place}: {location}, expected a {SUFFIX} file that is there; correct the path "
            "(safetensors.torch.save_file converts others)"
        )
    return path


def load_strict(network: nn.Module, state: Mapping[str, Tensor], *, place: str) -> None:
    """Copy a whole state into the network.

    Raises:
        CheckpointError: entries are missing, foreign or of another shape; nothing is copied.
    """
    own = network.state_dict()
    wrong = [name for name, value in own.items() if _shape(state, name) != value.shape]
    wrong += [name for name in state if name not in own]
    if wrong:
        name = wrong[0]
        needs = tuple(own[name].shape) if name in own else "no such entry"
        has = "nothing" if name not in state else tuple(state[name].shape)
        raise CheckpointError(
            f"{place}: {len(wrong)} entries do not fit, e.g. {name}: {has}, expected {needs}; give "
            "the weights of that network"
        )
    network.load_state_dict(dict(state))


def _shape(state: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return state[name].shape if name in state else None


def with_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a network, read from JSON, with lists as the tuples that they were."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
