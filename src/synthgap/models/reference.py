"""A reference network as stage `references` keeps it: weights, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from synthgap.errors import CheckpointError, ParamsError
from synthgap.jobs import content_digest, read_json
from synthgap.models.build import timm_model, use_small_stem
from synthgap.models.checkpoint import load_strict, load_weights, save_state, with_tuples
from synthgap.models.head import classifier_name, use_projection
from synthgap.models.initial_weights import initial_weights_file, read_initial_state
from synthgap.models.judge import normalisation_of
from synthgap.params.students import Student
from synthgap.params.synthesis import NetworkPin
from synthgap.seeding import derived_seed

STEM = "weights"
DIGEST_KEYS = ("network", "eye", "weights_sha256")


@dataclass(frozen=True)
class NetworkSpec:
    """A network: timm's name and keyword arguments, its stem, and what it gives.

    `outputs` logits of timm's classifier (0: it has none), or with `temperature` as many values of
    a projection head.
    """

    model: str
    options: Mapping[str, Any]
    stem: Literal["imagenet", "small"]
    outputs: int
    temperature: float | None = None

    def built(self, *, seed: int, place: str) -> nn.Module:
        """The network; equal seeds give equal weights, the global random state stays as it was.

        Raises:
            ParamsError: timm knows no such model, refuses the options, or it takes no such head.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, "reference", "init"))
            outputs = self.outputs if self.temperature is None else 1
            network = timm_model(self.model, self.options, outputs, place=place)
            if self.temperature is not None:
                use_projection(network, self.outputs, temperature=self.temperature, place=place)
            if self.stem == "small":
                use_small_stem(network, place=place)
        return network


@dataclass(frozen=True)
class Preprocessing:
    """What a network was made for: squares of `size_px`, mean and std a channel in [0, 1] units."""

    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class ReferenceOrigin:
    """Where a reference comes from; None: nobody knows, as of weights made elsewhere."""

    kind: Literal["train", "pin"]
    pretext: str | None
    set: str | None
    set_digest: str | None
    num_images: int | None
    labels_used: int | None

    @classmethod
    def elsewhere(cls) -> Self:
        """Of weights made elsewhere: nobody here knows from what."""
        return cls("pin", None, None, None, None, None)

    def title(self, model: str) -> str:
        """As tables name it."""
        if self.kind == "pin":
            return f"{model}, weights made elsewhere"
        return f"{model}, {self.pretext} on {self.num_images} images of {self.set}, no labels"


@dataclass(frozen=True)
class ReferenceRecord:
    """A kept reference; equal digests mean that it says the same of every image."""

    network: NetworkSpec
    preprocessing: Preprocessing
    digest: str
    about: Mapping[str, Any]  # all that weights.json says

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read its description.

        Raises:
            CheckpointError: it is not there.
        """
        path = folder / f"{STEM}.json"
        if not path.is_file():
            raise CheckpointError(
                f"{path}: missing, expected a reference network; run `dvc repro references` first"
            )
        return cls.of(read_json(path))

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Self:
        """Take what weights.json says."""
        network, known = dict(about["network"]), about["eye"]
        network["options"] = with_tuples(network["options"])
        preprocessing = Preprocessing(known["size_px"], tuple(known["mean"]), tuple(known["std"]))
        digest = content_digest({name: about[name] for name in DIGEST_KEYS})
        return cls(NetworkSpec(**network), preprocessing, digest, about)


def save_reference(
    folder: Path,
    state: Mapping[str, Tensor],
    network: NetworkSpec,
    preprocessing: Preprocessing,
    origin: ReferenceOrigin,
) -> None:
    """Write `weights.safetensors`, then `weights.json`."""
    about = {
        "schema": 1,
        "model": network.model,
        "title": origin.title(network.model),
        **asdict(origin),
        "network": asdict(network),
        "eye": asdict(preprocessing),
    }
    save_state(folder / STEM, state, about)


def open_reference(folder: Path) -> tuple[ReferenceRecord, nn.Module]:
    """A kept reference and its network, in eval mode and frozen.

    Raises:
        CheckpointError: it is missing or damaged, or its weights are not those it was kept with.
    """
    record = ReferenceRecord.read(folder)
    state, _ = load_weights(folder / STEM)
    network = record.network.built(seed=0, place=str(folder))
    load_strict(network, state, place=str(folder / STEM))
    return record, network.eval().requires_grad_(requires_grad=False)


def pinned_reference(
    pin: NetworkPin, *, root: Path, place: str
) -> tuple[dict[str, Tensor], NetworkSpec, Preprocessing, Path]:
    """A network made elsewhere: its whole state, what it is and sees, and the file it came in.

    Weights come from the hub, or from a .safetensors file below `root`; a classifier that they
    hold is kept.

    Raises:
        ParamsError: timm knows no such model, or there are no such weights.
        CheckpointError: the weights are not of this network.
    """
    from_hub = pin.weights == "hub"
    init: Literal["pretrained", "file"] = "pretrained" if from_hub else "file"
    weights = None if from_hub else str(root / Path(pin.weights).expanduser())
    student = Student(pin.model, {}, "imagenet", init, weights, "linear", 1.0)
    try:
        path = initial_weights_file(student)
        assert path is not None
        state = read_initial_state(student, path)
    except ParamsError as error:
        raise ParamsError(str(error).replace("params.yaml, student", place)) from error
    example = timm_model(pin.model, {}, 1, place=place)
    classifier = state.get(f"{classifier_name(example)}.weight")
    network = NetworkSpec(pin.model, {}, "imagenet", 0 if classifier is None else len(classifier))
    load_strict(network.built(seed=0, place=place), state, place=f"{path} ({place}, {pin.model})")
    size_px = int(example.pretrained_cfg["input_size"][-1])  # type: ignore[index] # timm's own
    return state, network, Preprocessing(size_px, *normalisation_of(example)), path
