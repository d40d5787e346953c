"""The registry holds the files of stage `register`, once, and nothing that unpickles."""

import json
import shutil
from pathlib import Path

import pytest
from fake_cells import hexed, transfer_runs, write_cell
from registered import NAME, flip_a_byte, folder_of, run_register

from synthgap.errors import CheckpointError, TrackingError
from synthgap.tracking.mirror import mirror
from synthgap.tracking.prefix import read_prefix
from synthgap.tracking.publishing import publish_from
from synthgap.tracking.registry import pull, versions
from synthgap.tracking.store import TrackingStore

pytestmark = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")


def test_published_once_however_often(outputs: Path):
    first = publish_from(outputs)
    assert (first.new, first.known) == (6, 0)
    again = publish_from(outputs)
    assert (again.new, again.known) == (0, 6)
    found = [one for one in versions(outputs) if one.name == NAME]
    assert [one.depth for one in found] == [1, 2, 3]
    assert {alias for one in found for alias in one.aliases} == {"n1", "n2", "n3", "best"}


def test_new_data_is_a_new_version_and_the_aliases_follow(outputs: Path):
    publish_from(outputs)
    path = folder_of(outputs, 1) / "prefix.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "donor": hexed("other data")}))
    assert publish_from(outputs).new == 1
    found = {one.version: one for one in versions(outputs) if one.name == NAME}
    assert len(found) == 4
    assert "n1" in found[4].aliases
    assert "n1" not in found[1].aliases


def test_best_is_chosen_on_val_whatever_test_says(outputs: Path):
    for depth, val in ((1, 80.0), (2, 95.0), (3, 90.0)):
        runs = transfer_runs(depth)
        for run in runs:
            run["last"]["val/top1"]["mean"] = val
            run["last"]["test/top1"]["mean"] = 100.0 - val
        write_cell(outputs, runs, depth)
    shutil.rmtree(outputs / "artifacts/register")
    run_register(outputs, (1, 2, 3))
    publish_from(outputs)
    (best,) = [one for one in versions(outputs) if one.name == NAME and "best" in one.aliases]
    assert best.depth == 2


def test_without_val_there_is_no_best_and_a_warning(outputs: Path):
    for depth in (1, 2, 3):
        runs = transfer_runs(depth)
        for run in runs:
            del run["last"]["val/top1"]
        write_cell(outputs, runs, depth)
    shutil.rmtree(outputs / "artifacts/register")
    run_register(outputs, (1,))
    done = publish_from(outputs)
    assert len(done.warnings) == 2
    assert all("best" not in one.aliases for one in versions(outputs))


def test_no_file_of_a_published_model_is_a_pickle(outputs: Path):
    publish_from(outputs)
    files = [path for path in (outputs / "mlruns/artifacts").rglob("*") if path.is_file()]
    suffixes = {path.suffix or path.name for path in files}
    assert suffixes == {".safetensors", ".json", ".py", ".yaml", ".txt", "MLmodel"}
    assert not any(
        path.read_bytes().startswith((b"\x80\x04", b"\x80\x05", b"PK")) for path in files
    )


def test_mlflow_itself_opens_a_published_model(outputs: Path, store: TrackingStore):
    import numpy as np

    publish_from(outputs)
    import mlflow.pyfunc  # warns when it is first imported, which publishing keeps to itself

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store.uri)
        model = mlflow.pyfunc.load_model(f"models:/{NAME}@n2")
        images = np.random.default_rng(0).random((3, 3, 16, 16), dtype=np.float32)
        features = model.predict(images)
    about = read_prefix(folder_of(outputs, 2)).about
    assert features.shape == (3, about["num_features"])
    assert np.ptp(features) > 0


@pytest.mark.parametrize("reference", [f"{NAME}@n2", f"{NAME}/2"])
def test_pulled_files_are_the_registered_ones(outputs: Path, tmp_path: Path, reference: str):
    publish_from(outputs)
    target = pull(outputs, reference, tmp_path / "deep" / "here")
    names = sorted(path.name for path in target.iterdir())
    assert names == ["prefix.json", "prefix.safetensors"]
    for name in names:
        assert (target / name).read_bytes() == (folder_of(outputs, 2) / name).read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["here"]


def test_a_pull_replaces_a_prefix_only_when_told_and_nothing_else_ever(
    outputs: Path, tmp_path: Path
):
    publish_from(outputs)
    target = pull(outputs, f"{NAME}@n1", tmp_path / "here")
    with pytest.raises(TrackingError, match="--yes"):
        pull(outputs, f"{NAME}@n2", target)
    assert read_prefix(target).depth == 1
    pull(outputs, f"{NAME}@n2", target, overwrite=True)
    assert read_prefix(target).depth == 2
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(TrackingError, match="not a prefix"):
        pull(outputs, f"{NAME}@n1", target, overwrite=True)
    assert (target / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("nobody@best", r"expected one of \['digits-resnet10t-real'"),
        (f"{NAME}@n9", r"aliases of .* are \['best', 'n1', 'n2', 'n3'\]"),
        (f"{NAME}/99", "no such version"),
        (NAME, "expected NAME@ALIAS or NAME/VERSION"),
        (f"{NAME}/latest", "expected NAME@ALIAS or NAME/VERSION"),
    ],
)
def test_an_unknown_reference_names_the_known(outputs: Path, tmp_path: Path, reference, says):
    publish_from(outputs)
    with pytest.raises(TrackingError, match=says):
        pull(outputs, reference, tmp_path / "here")
    assert list(tmp_path.glob("*here*")) == []


def published_files(root: Path, depth: int) -> Path:
    """Folder of a published model's artifacts in the store."""
    (found,) = [
        path.parent
        for path in (root / "mlruns/artifacts/models").rglob("prefix.json")
        if json.loads(path.read_text())["depth"] == depth
        and json.loads(path.read_text())["source"] == "synthetic"
    ]
    return found


def test_tampered_weights_and_descriptions_are_refused(outputs: Path, tmp_path: Path):
    publish_from(outputs)
    flip_a_byte(published_files(outputs, 1) / "prefix.safetensors")
    with pytest.raises(CheckpointError, match="sha256"):
        pull(outputs, f"{NAME}@n1", tmp_path / "here")
    path = published_files(outputs, 2) / "prefix.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seed": 7}))
    with pytest.raises(TrackingError, match="digest"):
        pull(outputs, f"{NAME}@n2", tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("place", ["artifacts/model.pkl", "model.pkl", "code/x.py", "data.bin"])
def test_a_model_with_anything_else_in_it_is_refused(outputs: Path, tmp_path: Path, place: str):
    publish_from(outputs)
    planted = published_files(outputs, 1).parent / place
    planted.parent.mkdir(exist_ok=True)
    planted.write_bytes(b"\x80\x04.")
    with pytest.raises(TrackingError, match=place.replace(".", r"\.")):
        pull(outputs, f"{NAME}@n1", tmp_path / "here")


def test_an_unreachable_registry_does_not_cost_the_files(
    outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    shutil.rmtree(outputs / "artifacts/register")
    monkeypatch.delenv("SYNTHGAP_TRACKING")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    run_register(outputs, (1,))
    assert "not published" in capsys.readouterr().err
    assert read_prefix(folder_of(outputs, 1)).depth == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert mirror(outputs).published.new == 2
    assert [one.depth for one in versions(outputs)] == [1, 1]


def test_reading_makes_no_store(tmp_path: Path, quiet: None):
    with pytest.raises(TrackingError, match="synthgap mirror"):
        versions(tmp_path)
    assert list(tmp_path.iterdir()) == []
