"""Which pipeline made the images: what was trained or pinned, and the digest of its files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synthgap.artifacts import Artifacts, read_json, write_json
from synthgap.artifacts.pinned import KEPT, defining_files, files_digest, found
from synthgap.errors import GeneratorError
from synthgap.params.sections import Pin

PROVENANCE = "provenance.json"
INDEX = "model_index.json"
UNUSED = frozenset({"safety_checker"})  # it would blacken images without a word
HUB_FILES = (INDEX, *(f"*/*{suffix}" for suffix in sorted(KEPT)))


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from; `real_labels` is None where nobody knows what it has seen."""

    kind: str  # train or pin
    location: str | None
    revision: str | None
    sha256: str
    classes: tuple[str, ...] | None
    real_labels: int | None
    training_set: str | None

    @classmethod
    def read(cls, artifacts: Artifacts, stage: str = "generator") -> Provenance:
        """Read what stage `generator`, `teacher` or `oracle` wrote.

        Raises:
            GeneratorError: it is not there.
        """
        path = artifacts.stage(stage) / PROVENANCE
        if not path.is_file():
            raise GeneratorError(
                f"{path}: missing, expected the output of stage {stage}; run `dvc repro {stage}`"
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


def pin(declared: Pin, *, root: Path, place: str = "generator.pin") -> Provenance:
    """Find the declared pipeline and hold it to its digest; without one, take what is there.

    Raises:
        GeneratorError: it is missing, holds pickles only, or has another digest.
    """
    folder, revision = found(
        declared.location, declared.revision, root=root, patterns=HUB_FILES, place=place
    )
    return attested(declared, folder, pipeline_digest(folder), revision=revision, place=place)


def attested(
    declared: Pin, folder: Path, digest: str, *, revision: str | None, place: str
) -> Provenance:
    """What is known of the model in `folder`, which was found as declared.

    Raises:
        GeneratorError: it has another digest than was declared.
    """
    if declared.sha256 not in (None, digest):
        raise GeneratorError(
            f"{folder}: digest {digest}, expected {declared.sha256} ({place}.sha256); restore "
            "the files, or set the digest to null to pin what is there"
        )
    ours = folder / PROVENANCE  # a model that synthgap trained knows what it has seen
    known = read_json(ours) if ours.is_file() else {}
    known = known if known.get("sha256") == digest else {}
    return Provenance(
        kind="pin",
        location=declared.location,
        revision=revision,
        sha256=digest,
        classes=None if known.get("classes") is None else tuple(known["classes"]),
        real_labels=known.get("real_labels"),
        training_set=known.get("training_set"),
    )


def locate(provenance: Provenance, artifacts: Artifacts, stage: str = "generator") -> Path:
    """The folder of the pipeline, checked against its digest.

    Raises:
        GeneratorError: it is missing, or not what the stage saw.
    """
    folder = artifacts.stage(stage)
    if provenance.location is not None:
        folder, _ = found(
            provenance.location,
            provenance.revision,
            root=artifacts.root,
            patterns=HUB_FILES,
            place=f"{stage}.pin",
        )
    digest = pipeline_digest(folder)
    if digest != provenance.sha256:
        raise GeneratorError(
            f"{folder}: digest {digest}, expected {provenance.sha256} as stage {stage} saw it; "
            f"rerun `dvc repro {stage}`"
        )
    return folder


def pipeline_digest(folder: Path) -> str:
    """Hex sha256 over names and bytes of the files that open the pipeline, and of no others.

    Raises:
        GeneratorError: the folder is no pipeline, or has pickles where safetensors should be.
    """
    return files_digest(folder, pipeline_files(folder))


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
        files += defining_files(part)
    return sorted(files)


def pipeline_class(folder: Path) -> str:
    """Name of the diffusers class that the index asks for."""
    return str(read_json(folder / INDEX)["_class_name"])


def scheduler_name(folder: Path) -> str:
    """Class name of the pipeline's scheduler, or an empty string if it has none."""
    entry = read_json(folder / INDEX).get("scheduler") or [None, None]
    return entry[1] or ""


def _components(folder: Path) -> list[str]:
    path = folder / INDEX
    if not path.is_file():
        raise GeneratorError(
            f"{path}: missing, expected a diffusers pipeline folder; check pin.location"
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
