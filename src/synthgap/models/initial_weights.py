"""Where a student's weights start when not at random: timm's own, or a file; the head never."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from synthgap.errors import CheckpointError, ParamsError
from synthgap.models.checkpoint import read_safetensors, weights_file
from synthgap.params.students import Student

ANYWHERE = "put the weights in a .safetensors file and set init: file"
MAX_NAMED = 3  # names in a message


def initial_weights_file(student: Student) -> Path | None:
    """The safetensors file that the student starts from, fetched from the hub where it must be.

    Its digest belongs to a result's inputs: a name says neither what a file holds nor a hub.

    Raises:
        ParamsError: there is no such file, or the hub is out of reach.
    """
    if student.init == "random":
        return None
    if student.init == "pretrained":
        return _hub_weights(student.model)
    return weights_file(student.weights or "", root=Path(), place="params.yaml, student.weights")


def read_initial_state(student: Student, path: Path) -> dict[str, Tensor]:
    """Read the state in `path`; timm's own is first made to fit the options as timm does it.

    Raises:
        CheckpointError: the file is not safetensors.
        ParamsError: timm's weights do not fit the options.
    """
    if student.init == "pretrained":
        return _adapted_by_timm(student, path)
    return read_safetensors(path)


def load_initial_weights(
    model: nn.Module, state: Mapping[str, Tensor], *, fresh: Iterable[str], place: str
) -> None:
    """Copy `state` into the model in place, but for the modules `fresh`, which stay as drawn.

    Raises:
        CheckpointError: entries are missing, foreign or of another shape; nothing is copied.
    """
    left = tuple(f"{module}." for module in fresh)
    own = {name: one for name, one in model.state_dict().items() if not name.startswith(left)}
    given = {name: one for name, one in state.items() if not name.startswith(left)}
    reshaped = [
        f"{name} {tuple(given[name].shape)} for {tuple(value.shape)}"
        for name, value in own.items()
        if name in given and given[name].shape != value.shape
    ]
    wrong = {
        "missing": [name for name in own if name not in given],
        "foreign": [name for name in given if name not in own],
        "of another shape": reshaped,
    }
    if any(wrong.values()):
        reason = "; ".join(f"{kind}: {_shortly(names)}" for kind, names in wrong.items() if names)
        raise CheckpointError(
            f"{place}: {reason}; expected the {len(own)} entries of params.yaml's student below "
            "its classifier, give weights of the same network"
        )
    for name, value in own.items():
        value.copy_(given[name])


def _shortly(names: list[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _hub_weights(name: str) -> Path:
    import timm
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    about = timm.get_pretrained_cfg(name)
    if about is None or not about.hf_hub_id:
        raise ParamsError(
            f"params.yaml, student.init: pretrained, but timm publishes no weights of {name!r} on "
            f"the hub; choose another model, or {ANYWHERE}"
        )
    repository, file = about.hf_hub_id, "model.safetensors"
    try:
        try:  # what was fetched once needs no network, and no request in every run of a sweep
            return Path(hf_hub_download(repository, file, local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(hf_hub_download(repository, file))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(
            f"params.yaml, student.init: pretrained, but {file} of {repository} cannot be fetched "
            f"from the hub ({reason:.80}); connect to the network, or {ANYWHERE}"
        ) from error


def _adapted_by_timm(student: Student, path: Path) -> dict[str, Tensor]:
    import timm

    options: dict[str, Any] = {"pretrained_cfg_overlay": {"file": str(path)}, **student.options}
    try:
        model: nn.Module = timm.create_model(student.model, pretrained=True, **options)
    except (LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(
            f"params.yaml, student: timm's weights of {student.model} do not fit options "
            f"{student.options} ({reason:.160}); expected options that keep the network's shapes, "
            "or init: random"
        ) from error
    return dict(model.state_dict())
