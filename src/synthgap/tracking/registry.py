"""Read the registry: the only place that takes anything back from MLflow."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from synthgap.errors import CheckpointError, TrackingError
from synthgap.jobs import publish
from synthgap.tracking.prefix import DESCRIPTION, WEIGHTS, build_from_prefix, read_prefix
from synthgap.tracking.runs import DIGEST_TAG
from synthgap.tracking.store import TrackingStore, error_code, open_store, store_errors

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from torch import nn


# What MLflow writes around a model; a pickle, or anything else, has no business in one of ours.
MLFLOW_FILES = re.compile(r"MLmodel|registered_model_meta|[\w.-]+\.(yaml|txt|py)")
FILES = (WEIGHTS, DESCRIPTION)


@dataclass(frozen=True)
class PrefixVersion:
    """One version of a registered prefix."""

    name: str
    version: int
    aliases: tuple[str, ...]
    depth: int
    source: str
    seed: int | None
    val_top1: float | None  # percent, mean over the transfer runs' seeds
    digest: str
    donor: str | None
    commit: str | None

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def versions(root: Path) -> list[PrefixVersion]:
    """Every version of ours in the checkout's store, by name and version.

    Raises:
        TrackingError: the store cannot be reached, or there is none.
    """
    store = open_store(root, create=False)
    with store_errors(store.uri):
        found = []
        for model in _models(store):
            by_version: dict[str, list[str]] = {}
            for alias, number in model.aliases.items():
                by_version.setdefault(str(number), []).append(alias)
            found += [
                _version(one, by_version.get(str(one.version), []))
                for one in store.client.search_model_versions(f"name='{model.name}'")
                if DIGEST_TAG in one.tags
            ]
    return sorted(found, key=lambda one: (one.name, one.version))


def pull(root: Path, reference: str, target: Path, *, overwrite: bool = False) -> Path:
    """Fetch `NAME@ALIAS` or `NAME/VERSION` into `target`, whole or not at all; return `target`.

    Raises:
        TrackingError: no such reference, an unreachable store, or `target` is not free.
        CheckpointError: what the registry holds is damaged or is not safetensors and JSON.
    """
    _check_target(target, overwrite=overwrite)
    store = open_store(root, create=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as place:
        with store_errors(store.uri):
            found = _resolve(store, reference)
            fetched = _download(store, found, Path(place) / "model")
        folder = _check_files(fetched, reference)
        prefix = read_prefix(folder)
        if prefix.digest != found.tags.get(DIGEST_TAG):
            raise TrackingError(
                f"{reference}: digest {prefix.digest[:12]}, expected "
                f"{str(found.tags.get(DIGEST_TAG))[:12]} (its tag); it was changed in the store: "
                "register and publish it again"
            )
        publish(folder, target)
    return target


def _models(store: TrackingStore) -> list[RegisteredModel]:
    models: list[RegisteredModel] = []
    token = None
    while True:
        page = store.client.search_registered_models(max_results=500, page_token=token)
        # A search leaves the aliases out.
        models += [store.client.get_registered_model(model.name) for model in page]
        token = page.token
        if not token:
            return models


def _version(one: ModelVersion, aliases: list[str]) -> PrefixVersion:
    tags: Mapping[str, str] = one.tags
    return PrefixVersion(
        name=str(one.name),
        version=int(one.version),
        aliases=tuple(sorted(aliases)),
        depth=int(tags["depth"]),
        source=tags["source"],
        seed=int(tags["seed"]) if "seed" in tags else None,
        val_top1=float(tags["val_top1"]) if "val_top1" in tags else None,
        digest=tags[DIGEST_TAG],
        donor=tags.get("donor"),
        commit=tags.get("git.commit"),
    )


def _resolve(store: TrackingStore, reference: str) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    name, sign, which = re.fullmatch(r"([^@/]*)([@/]?)(.*)", reference).groups()  # type: ignore[union-attr] # matches any text
    if not name or not which or (sign == "/" and not which.isdecimal()):
        raise TrackingError(f"{reference!r}: expected NAME@ALIAS or NAME/VERSION")
    try:
        if sign == "@":
            return store.client.get_model_version_by_alias(name, which)
        return store.client.get_model_version(name, which)
    except MlflowException as error:
        if error_code(error) not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise TrackingError(f"{reference}: {_unknown_message(store, name)}") from error


def _unknown_message(store: TrackingStore, name: str) -> str:
    models = {model.name: model for model in _models(store)}
    if name not in models:
        return f"no such model, expected one of {sorted(models)}; see `synthgap registry list`"
    aliases = sorted(models[name].aliases)
    return f"no such version, aliases of {name} are {aliases}; see `synthgap registry list`"


def _download(store: TrackingStore, found: ModelVersion, place: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    place.mkdir()
    uri = f"models:/{found.model_id}" if found.model_id else found.source
    fetched = download_artifacts(
        artifact_uri=uri, dst_path=str(place), tracking_uri=store.uri, registry_uri=store.uri
    )
    return Path(fetched)


def _check_files(fetched: Path, reference: str) -> Path:
    """The folder of the two files, after every file that came along was looked at."""
    folder = fetched / "artifacts"
    for path in sorted(fetched.rglob("*")):
        inside = path.parent == folder and path.name in FILES
        around = path.parent == fetched and MLFLOW_FILES.fullmatch(path.name)
        if path.is_file() and not (inside or around):
            raise TrackingError(
                f"{reference}: holds {path.relative_to(fetched)}, expected only "
                f"{' and '.join(FILES)} beside MLflow's own text files; nothing was written, "
                "do not load this model"
            )
    return folder


def _check_target(target: Path, *, overwrite: bool) -> None:
    if not target.exists():
        return
    names = {path.name for path in target.iterdir()} if target.is_dir() else {target.name}
    if not target.is_dir() or names - set(FILES):
        raise TrackingError(
            f"{target}: exists and holds {sorted(names)[:3]}, which is not a prefix; expected a "
            "new folder"
        )
    if names and not overwrite:
        raise TrackingError(f"{target}: exists; add --yes to replace it, or choose another folder")


def load_prefix(
    source: str | Path, num_classes: int | None = None, *, seed: int = 0, root: Path | None = None
) -> nn.Module:
    """Return a timm model whose first units are the prefix, frozen, and whose rest is fresh.

    `source` is a folder (pulled, or `artifacts/register/...`) or a registry reference `NAME@ALIAS`
    or `NAME/VERSION`, looked up in the store of the checkout at `root` (the current folder).
    Weights *and* batch-norm statistics of the prefix stay bit for bit, also in `train()` mode.
    `num_classes` defaults to the donor's; `seed` draws the fresh part. The model takes float32
    images (batch, 3, height, width), normalised as its `normalisation` in prefix.json says.

    Raises:
        CheckpointError: the files are damaged, or are not safetensors and JSON alone.
        TrackingError: the registry cannot be reached or knows no such reference.
    """
    folder = Path(source)
    if folder.is_dir():
        return build_from_prefix(read_prefix(folder), num_classes, seed=seed)
    if isinstance(source, Path) or not re.fullmatch(r"[\w.-]+(@[\w.-]+|/\d+)", source):
        raise CheckpointError(
            f"{source}: no such folder; expected a prefix folder, NAME@ALIAS or NAME/VERSION "
            "(see `synthgap registry list`)"
        )
    with TemporaryDirectory(prefix="synthgap-") as place:
        target = Path(place) / "prefix"
        pull(root or Path.cwd(), source, target)
        return build_from_prefix(read_prefix(target), num_classes, seed=seed)
