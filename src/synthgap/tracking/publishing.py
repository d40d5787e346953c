"""Publish the prefixes of `artifacts/register/` in MLflow's registry."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.tracking.live_log import git_commit
from synthgap.tracking.prefix import DESCRIPTION, WEIGHTS, PrefixFolder, read_prefix
from synthgap.tracking.runs import DIGEST_TAG, INPUTS_TAG, dvc_digests
from synthgap.tracking.store import TrackingStore, exclusive_lock, open_store, store_errors

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

PREFIX_PATTERN = f"artifacts/register/*/*/*/{DESCRIPTION}"
PACKAGES = ("mlflow", "numpy", "safetensors", "timm", "torch", "synthgap")
MODEL_DESCRIPTION = (
    "First units of a student, frozen: one version a depth and data version. Alias `n<depth>` is "
    "the current version of a depth, `best` the depth whose transfer runs score highest on `val`. "
    "`synthgap registry pull NAME@ALIAS --to DIR`, or `synthgap.load_prefix('NAME@ALIAS')`."
)


@dataclass
class PublishedVersions:
    """How many versions are new, how many were there; what could not be published."""

    new: int = 0
    known: int = 0
    warnings: list[str] = field(default_factory=list)


def publish_from(root: Path) -> PublishedVersions:
    """Open the checkout's store and publish every prefix.

    Raises:
        TrackingError: the store cannot be reached.
    """
    store = open_store(root)
    with store_errors(store.uri):
        return publish_all(store)


def publish_all(store: TrackingStore) -> PublishedVersions:
    """Publish what the registry lacks, then point the aliases; a second time changes nothing."""
    names: dict[str, list[PrefixFolder]] = defaultdict(list)
    for path in sorted(store.root.glob(PREFIX_PATTERN)):
        prefix = read_prefix(path.parent)
        names[prefix.model_name].append(prefix)
    done = PublishedVersions()
    with exclusive_lock(store.root, "publish"):
        for name, prefixes in names.items():
            _publish(store, name, prefixes, done)
    return done


def best_prefix(prefixes: Sequence[PrefixFolder]) -> PrefixFolder | None:
    """The depth whose transfer runs have the highest mean `val` top-1; of equals the deeper."""
    scored = [prefix for prefix in prefixes if prefix.about.get("val_top1")]
    return max(scored, key=lambda one: (one.about["val_top1"]["mean"], one.depth), default=None)


def _publish(
    store: TrackingStore, name: str, prefixes: Sequence[PrefixFolder], done: PublishedVersions
) -> None:
    model = _registered_model(store, name)
    versions = {
        one.tags[DIGEST_TAG]: str(one.version)
        for one in store.client.search_model_versions(f"name='{name}'")
        if DIGEST_TAG in one.tags
    }
    for prefix in prefixes:
        if prefix.digest in versions:
            done.known += 1
        else:
            versions[prefix.digest] = _add_version(store, name, prefix)
            done.new += 1
    best = best_prefix(prefixes)
    wanted = {f"n{prefix.depth}": versions[prefix.digest] for prefix in prefixes}
    if best is None:
        done.warnings.append(f"{name}: no val accuracies, so no alias `best` (data.splits.val)")
    else:
        wanted["best"] = versions[best.digest]
    current = {alias: str(number) for alias, number in model.aliases.items()}
    for alias, number in wanted.items():
        if current.get(alias) != number:
            store.client.set_registered_model_alias(name, alias, number)


def _registered_model(store: TrackingStore, name: str) -> RegisteredModel:
    if not store.client.search_registered_models(f"name='{name}'"):
        store.client.create_registered_model(name, description=MODEL_DESCRIPTION)
    return store.client.get_registered_model(name)


def _add_version(store: TrackingStore, name: str, prefix: PrefixFolder) -> str:
    """Upload one prefix and make its version, whose tags come with it, not after it."""
    donor = _donor_run_id(store, prefix)
    tags = _version_tags(store.root, prefix)
    model = store.client.create_logged_model(
        store.experiment(prefix.about["recipe"]),
        name=f"{name}-n{prefix.depth}",
        source_run_id=donor,
        tags=tags,
        model_type="frozen prefix",
    )
    with tempfile.TemporaryDirectory(prefix="synthgap-") as place:
        folder = Path(place) / "model"
        _save_model(prefix, folder, model_id=model.model_id)
        store.client.log_model_artifacts(model.model_id, str(folder))
    store.client.finalize_logged_model(model.model_id, "READY")
    made = store.client.create_model_version(
        name, source=f"models:/{model.model_id}", run_id=donor, tags=tags, model_id=model.model_id
    )
    return str(made.version)


def _save_model(prefix: PrefixFolder, folder: Path, *, model_id: str) -> None:
    import numpy as np
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    size, single = prefix.about["image_size"], np.dtype("float32")
    signature = ModelSignature(
        inputs=Schema([TensorSpec(single, (-1, 3, size, size))]),
        outputs=Schema([TensorSpec(single, (-1, prefix.about["num_features"]))]),
    )
    # MLflow asks for an input example, which would mean running the model; the signature is given.
    # Recorded, because it sets filters of its own.
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        pyfunc.save_model(
            folder,
            mlflow_model=Model(model_id=model_id),
            python_model=str(Path(__file__).with_name("prefix_features.py")),
            artifacts={
                "weights": str(prefix.folder / WEIGHTS),
                "description": str(prefix.folder / DESCRIPTION),
            },
            signature=signature,
            pip_requirements=[f"{package}=={version(package)}" for package in PACKAGES],
        )


def _version_tags(root: Path, prefix: PrefixFolder) -> dict[str, str]:
    about = prefix.about
    digests = dvc_digests(root)
    inputs = {
        path: {"digest": digest, "dvc": digests.get(path)}
        for path, digest in about.get("inputs", {}).items()
    }
    tags: Mapping[str, Any] = {
        **{name: about.get(name) for name in ("depth", "source", "set", "seed", "recipe")},
        "student": about["student"]["model"],
        "val_top1": (about.get("val_top1") or {}).get("mean"),
        "donor": about.get("donor"),
        "git.commit": git_commit(root),
        DIGEST_TAG: prefix.digest,
        "weights_sha256": about["weights_sha256"],
        INPUTS_TAG: json.dumps(inputs),
    }
    return {name: str(value) for name, value in tags.items() if value is not None}


def _donor_run_id(store: TrackingStore, prefix: PrefixFolder) -> str | None:
    """The donor's run in MLflow, if it is there."""
    found = store.client.search_runs(
        [store.experiment(prefix.about["recipe"])],
        f"tags.`{DIGEST_TAG}` = '{prefix.about['donor']}'",
        max_results=1,
    )
    return str(found[0].info.run_id) if found else None
