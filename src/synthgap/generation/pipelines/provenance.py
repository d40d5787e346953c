"""What made the images: a pipeline trained or pinned, or a folder of samples, by its digest."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from synthgap.errors import GeneratorError
from synthgap.jobs import Artifacts, read_json, write_json
from synthgap.jobs.pinned import KEPT, defining_files, files_digest, found
from synthgap.params.sections import Generator, Pin, Rival

PROVENANCE = "provenance.json"
MAIN = "generator"
INDEX = "model_index.json"
CARD = "README.md"
CHECKER = "safety_checker"
UNUSED = frozenset({CHECKER})  # it would blacken images without a word
IMAGES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
HUB_FILES = (INDEX, CARD, *(f"*/*{suffix}" for suffix in sorted(KEPT)))


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from; `real_labels` is None where its training labels are unknown.

    `name` is `generator` or that of a rival. Samples without labels are kept from `min_confidence`
    on, where that is not None.
    """

    kind: str  # train, pin or folder
    location: str | None
    revision: str | None
    sha256: str
    classes: tuple[str, ...] | None
    real_labels: int | None
    training_set: str | None
    name: str | None = None
    licence: str | None = None
    min_confidence: float | None = None

    @classmethod
    def read(cls, artifacts: Artifacts, stage: str = "generator", *cell: str) -> Provenance:
        """Read what stage `generator`, `teacher` or `oracle` wrote, or cell `dit` of `rivals`.

        Raises:
            GeneratorError: it is not there.
        """
        path = _kept(artifacts, stage, cell) / PROVENANCE
        if not path.is_file():
            raise GeneratorError(
                f"{path}: missing, expected the output of stage {stage}; run `dvc repro {stage}`"
            )
        kept = read_json(path)
        classes = kept["classes"]
        return cls(**{**kept, "classes": None if classes is None else tuple(classes)})

    def declared(self, source: Generator | Rival, name: str) -> Provenance:
        """The same with what params.yaml says of it; a licence there comes before the card's."""
        licence = source.licence or self.licence
        return replace(self, name=name, licence=licence, min_confidence=source.min_confidence)

    def as_json(self) -> dict[str, Any]:
        """As provenance.json holds it."""
        return {**asdict(self), "classes": None if self.classes is None else list(self.classes)}

    def write(self, folder: Path) -> None:
        """Write provenance.json into `folder`."""
        write_json(folder / PROVENANCE, self.as_json())


def declared_source(source: Generator | Rival, *, root: Path, name: str) -> Provenance:
    """The pipeline or the samples that section `generator`, or a rival's, declares.

    Raises:
        GeneratorError: it is missing, holds pickles only, or has another digest.
    """
    assert source.pin is not None
    place = "generator.pin" if name == MAIN else f"rivals.{name}.pin"
    pinned = pin_samples if source.kind == "folder" else pin
    provenance = pinned(source.pin, root=root, place=place)
    return provenance.declared(source, name)


def pin(declared: Pin, *, root: Path, place: str = "generator.pin") -> Provenance:
    """Find the declared pipeline and hold it to its digest; without one, take what is there.

    Its licence is that of its model card.

    Raises:
        GeneratorError: it is missing, holds pickles only, or has another digest.
    """
    folder, revision = found(
        declared.location, declared.revision, root=root, patterns=HUB_FILES, place=place
    )
    provenance = attested(declared, folder, pipeline_digest(folder), revision=revision, place=place)
    return replace(provenance, licence=provenance.licence or card_licence(folder))


def pin_samples(declared: Pin, *, root: Path, place: str) -> Provenance:
    """Find a folder of samples and hold it to its digest, as `pin` does with a pipeline.

    Raises:
        GeneratorError: it is missing or empty, or has another digest.
    """
    folder = _samples(declared.location, root=root, place=place)
    provenance = attested(declared, folder, samples_digest(folder), revision=None, place=place)
    return replace(provenance, kind="folder", licence=provenance.licence or card_licence(folder))


def attested(
    declared: Pin, folder: Path, digest: str, *, revision: str | None, place: str
) -> Provenance:
    """The provenance of the model in `folder`, which was found as declared.

    Raises:
        GeneratorError: it has another digest than was declared.
    """
    if declared.sha256 not in (None, digest):
        raise GeneratorError(
            f"{folder}: digest {digest}, expected {declared.sha256} ({place}.sha256); restore "
            "the files, or set the digest to null to pin what is there"
        )
    ours = folder / PROVENANCE  # of a model that synthgap trained
    kept = read_json(ours) if ours.is_file() else {}
    kept = kept if kept.get("sha256") == digest else {}
    return Provenance(
        kind="pin",
        location=declared.location,
        revision=revision,
        sha256=digest,
        classes=None if kept.get("classes") is None else tuple(kept["classes"]),
        real_labels=kept.get("real_labels"),
        training_set=kept.get("training_set"),
        licence=kept.get("licence"),
    )


def locate(
    provenance: Provenance, artifacts: Artifacts, stage: str = "generator", *cell: str
) -> Path:
    """The folder of the pipeline, or of the samples, checked against its digest.

    Raises:
        GeneratorError: it is missing, or not what the stage saw.
    """
    folder, place = _kept(artifacts, stage, cell), ".".join([stage, *cell, "pin"])
    if provenance.kind == "folder":
        folder = _samples(str(provenance.location), root=artifacts.root, place=place)
    elif provenance.location is not None:
        folder, _ = found(
            provenance.location,
            provenance.revision,
            root=artifacts.root,
            patterns=HUB_FILES,
            place=place,
        )
    of = samples_digest if provenance.kind == "folder" else pipeline_digest
    digest = of(folder)
    if digest != provenance.sha256:
        raise GeneratorError(
            f"{folder}: digest {digest}, expected {provenance.sha256} as stage {stage} saw it; "
            f"rerun `dvc repro {stage}`"
        )
    return folder


def samples_digest(folder: Path) -> str:
    """Hex sha256 over names and bytes of the images in a folder of samples.

    Raises:
        GeneratorError: there are none.
    """
    return files_digest(folder, sample_files(folder))


def sample_files(folder: Path) -> list[Path]:
    """Images in `folder` and in its folders, sorted; no hidden ones.

    Raises:
        GeneratorError: there are none.
    """
    files = sorted(
        path
        for path in [*folder.glob("*"), *folder.glob("*/*")]
        if path.suffix.casefold() in IMAGES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise GeneratorError(
            f"{folder}: no images, expected samples ({', '.join(sorted(IMAGES))}), a folder for "
            "each class or all in one"
        )
    return files


def card_licence(folder: Path) -> str | None:
    """What the front matter of the folder's model card says of the licence, if there is any."""
    import yaml

    card = folder / CARD
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    if not text.startswith("---"):
        return None
    try:
        front = yaml.safe_load(text.split("---", 2)[1])
    except yaml.YAMLError:
        return None
    licence = front.get("license") if isinstance(front, dict) else None
    if licence == "other":
        licence = front.get("license_name", licence)
    return None if licence is None else str(licence)


def checker_digest(folder: Path) -> str | None:
    """Hex sha256 of the safety checker's files, which the pipeline's own digest leaves out."""
    part = folder / CHECKER
    return files_digest(folder, defining_files(part)) if part.is_dir() else None


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
    if not (folder / INDEX).is_file():
        return ""
    entry = read_json(folder / INDEX).get("scheduler") or [None, None]
    return entry[1] or ""


def _kept(artifacts: Artifacts, stage: str, cell: tuple[str, ...]) -> Path:
    return artifacts.cell(stage, *cell) if cell else artifacts.stage(stage)


def _samples(location: str, *, root: Path, place: str) -> Path:
    folder = root / Path(location).expanduser()
    if not folder.is_dir():
        raise GeneratorError(
            f"{folder}: no such folder, expected one of samples; correct {place}.location"
        )
    return folder


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
