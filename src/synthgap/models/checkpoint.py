"""Checkpoints that never unpickle: safetensors, and a JSON description with their sha256."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from synthgap.errors import CheckpointError
from synthgap.jobs import file_digest, read_json, whole_file, write_json


def save_model(stem: Path, model: nn.Module, about: Mapping[str, Any]) -> None:
    """Write `<stem>.safetensors` and then `<stem>.json`, whose presence means complete."""
    save_state(stem, model.state_dict(), about)


def save_state(stem: Path, state: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write a state dict, or a part of one, as `save` does."""
    from safetensors.torch import save as serialise

    weights = stem.with_name(f"{stem.name}.safetensors")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with whole_file(weights) as partial:
        partial.write_bytes(serialise(tensors))
    write_json(
        stem.with_name(f"{stem.name}.json"), {**about, "weights_sha256": file_digest(weights)}
    )


def load_weights(stem: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote: (state, about).

    Raises:
        CheckpointError: a file is missing, or the weights are not those the description names.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights, description = (
        stem.with_name(f"{stem.name}.safetensors"),
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
    try:
        return load_file(weights), about
    except SafetensorError as error:
        raise CheckpointError(f"{weights}: not safetensors ({error}); fetch it again") from error
