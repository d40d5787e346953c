"""Which pipeline made the images: what was trained or pinned, and the digest of its files."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from synthgap.artifacts import Artifacts, file_digest, read_json, write_json
from synthgap.errors import GeneratorError
from synthgap.params.sections import Pin

PROVENANCE = "provenance.json"
INDEX = "model_index.json"
UNUSED = frozenset({"safety_checker"})  # it would blacken images without a word
KEPT = frozenset({".json", ".txt", ".model", ".safetensors"})
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack"})
_VARIANT = re.compile(r"\.(fp16|bf16|non_ema|ema)\b")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Provenance:
    """Where a pipeline comes from; `real_labels` is None where nobody knows what it has seen."""

    kind: str  # train or pin
    location: str | None
    revision: str | None
    sha256: str
    classes: tuple[str, ...] | None
    real_labels: int | None
    training_set: str | None

    @classmethod
    def read(cls, artifacts: Artifacts) -> Provenance:
        """Read what stage `generator` wrote.

        Raises:
            GeneratorError: it is not there.
        """
        path = artifacts.generator / PROVENANCE
        if not path.is_file():
            raise GeneratorError(
                f"{path}: missing, expected a generator; run `dvc repro generator` first"
            )
        kept = read_json(path)
        classes = kept["classes"]
        return cls(**{**kept, "classes": None if classes is None else tuple(classes)})

    def as_json(self) -> dict[str, Any]:
        """As provenance.json holds it."""
        return {**asdict(self), "classes": None if self.classes is None else list(self.classes)}

    def write(self, folder: Path) -> None:
        """Write provenance.json into `folder`."""
        write_json(folder / PROVENANCE, self.as_json())


def pin(declared: Pin, *, root: Path) -> Provenance:
    """Find the declared pipeline and hold it to its digest; without one, take what is there.

    Raises:
        GeneratorError: it is missing, holds pickles only, or has another digest.
    """
    folder, revision = _locate(declared.location, declared.revision, root)
    found = pipeline_digest(folder)
    if declared.sha256 not in (None, found):
        raise GeneratorError(
            f"{folder}: digest {found}, expected {declared.sha256} (generator.pin.sha256); restore "
            "the files, or set the digest to null to pin what is there"
        )
    ours = folder / PROVENANCE  # a pipeline that synthgap trained knows what it has seen
    known = read_json(ours) if ours.is_file() else {}
    known = known if known.get("sha256") == found else {}
    return Provenance(
        kind="pin",
        location=declared.location,
        revision=revision,
        sha256=found,
        classes=None if known.get("classes") is None else tuple(known["classes"]),
        real_labels=known.get("real_labels"),
        training_set=known.get("training_set"),
    )


def locate(provenance: Provenance, artifacts: Artifacts) -> Path:
    """The folder of the pipeline, checked against its digest.

    Raises:
        GeneratorError: it is missing, or not what the stage `generator` saw.
    """
    if provenance.location is None:
        folder = artifacts.generator
    else:
        folder = _locate(provenance.location, provenance.revision, artifacts.root)[0]
    found = pipeline_digest(folder)
    if found != provenance.sha256:
        raise GeneratorError(
            f"{folder}: digest {found}, expected {provenance.sha256} as stage generator saw it; "
            "rerun `dvc repro generator`"
        )
    return folder


def pipeline_digest(folder: Path) -> str:
    """Hex sha256 over names and bytes of the files that open the pipeline, and of no others.

    Raises:
        GeneratorError: the folder is no pipeline, or has pickles where safetensors should be.
    """
    lines = "".join(
        f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n"
        for path in pipeline_files(folder)
    )
    return sha256(lines.encode()).hexdigest()


def pipeline_files(folder: Path) -> list[Path]:
    """The index and each used component's configuration and full-precision safetensors, sorted.

    Raises:
        GeneratorError: the folder is no pipeline, or has pickles where safetensors should be.
    """
    files = [folder / INDEX]
    for name in _components(folder):
        part = folder / name
        if not part.is_dir():
            raise GeneratorError(
                f"{part}: missing, but {INDEX} names it; expected a whole diffusers pipeline folder"
            )
        kept = [path for path in part.iterdir() if path.suffix in KEPT and path.is_file()]
        kept = [path for path in kept if not _VARIANT.search(path.name)]
        pickles = sorted(path for path in part.iterdir() if path.suffix in PICKLES)
        if pickles and not any(path.suffix == ".safetensors" for path in kept):
            raise GeneratorError(
                f"{pickles[0]}: a pickle, expected .safetensors (pickles can run code); save the "
                "pipeline with safe_serialization=True or pin another revision"
            )
        files += kept
    return sorted(files)


def scheduler_name(folder: Path) -> str:
    """Class name of the pipeline's scheduler, or an empty string if it has none."""
    entry = read_json(folder / INDEX).get("scheduler") or [None, None]
    return entry[1] or ""


def _components(folder: Path) -> list[str]:
    path = folder / INDEX
    if not path.is_file():
        raise GeneratorError(
            f"{path}: missing, expected a diffusers pipeline folder; check generator.pin.location"
        )
    try:
        index = read_json(path)
        entries = {name: entry for name, entry in index.items() if isinstance(entry, list)}
    except (ValueError, AttributeError) as error:
        raise GeneratorError(f"{path}: no JSON object ({error}); restore the file") from error
    if not isinstance(index.get("_class_name"), str):
        raise GeneratorError(
            f"{path}: a pipeline with code of its own, expected one of diffusers' classes; it will "
            "not be run"
        )
    return sorted(
        name for name, entry in entries.items() if entry[0] is not None and name not in UNUSED
    )


def _locate(location: str, revision: str | None, root: Path) -> tuple[Path, str | None]:
    """Folder and resolved revision; a path is taken from the checkout's root."""
    local = root / Path(location).expanduser()
    if local.is_dir():
        return local, revision
    if not _HUB_ID.fullmatch(location) or location.startswith("."):
        raise GeneratorError(
            f"{local}: no such folder, expected a diffusers pipeline folder or a hub id such as "
            "owner/name; correct generator.pin.location"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        snapshot = Path(
            snapshot_download(
                location,
                revision=revision,
                allow_patterns=[INDEX, *(f"*/*{suffix}" for suffix in sorted(KEPT))],
                ignore_patterns=["*.fp16.*", "*.bf16.*", "*.non_ema.*", "*.ema.*", "*_checker/*"],
            )
        )
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise GeneratorError(
            f"{location} (revision {revision}): cannot be had from the hub ({reason}); check id, "
            "revision and network, or pin a local folder"
        ) from error
    return snapshot, snapshot.name
