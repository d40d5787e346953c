"""What MLflow shows of stage `fidelity`: numbers of sets and classes, sheets, and what was read."""

import pytest
from fake_cells import ENVIRONMENT, RECIPE, hexed, write_cell
from seen import artifacts, child_runs, history, parent_runs

from synthgap.jobs import read_json, write_json
from synthgap.tracking.mirror import mirror
from synthgap.tracking.store import TrackingStore

pytestmark = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")
SETS = ("train", "corpus", "g2.0")


def test_a_set_has_its_numbers_classes_sheets_and_inputs(store: TrackingStore) -> None:
    run = {
        "digest": hexed("fidelity g2.0"),
        "name": "fidelity g2.0",
        "experiment": "fidelity",
        "recipe": RECIPE,
        "set": "g2.0",
        "source": "synthetic",
        "guidance_scale": 2.0,
        "seed": 1,
        "num_images": 30,
        "pictures": ["worst-g2.0.png"],
        "epochs": [
            {"epoch": 0, "fidelity/fid": 5.5, "class/agreement": 0.75},
            {"epoch": 1, "class/agreement": 0.5},
        ],
    }
    folder = write_cell(store.root, [run])
    (folder / "worst-g2.0.png").write_bytes(b"a sheet")
    content = read_json(folder / "run.json")
    inputs = {f"artifacts/sets/{RECIPE}/{name}": hexed(name) for name in SETS}
    content |= {"inputs": inputs, "environment": ENVIRONMENT, "params": {"seed": 1}}
    write_json(folder / "run.json", content)
    assert mirror(store.root).runs == {"created": 1}
    (child,) = child_runs(store)
    assert history(store, child, "fidelity/fid") == [(0, 5.5)]
    assert history(store, child, "class/agreement") == [(0, 0.75), (1, 0.5)]
    assert artifacts(store, child) == ["run.json", "worst-g2.0.png"]  # no samples of training
    read = {
        one.dataset.name: {tag.key: tag.value for tag in one.tags}["mlflow.data.context"]
        for one in child.inputs.dataset_inputs
    }
    assert read == {f"{RECIPE}/{name}": "evaluation" for name in ("train", "g2.0")}
    (parent,) = parent_runs(store)
    assert "class/<metric>" in parent.data.tags["mlflow.note.content"]
    assert mirror(store.root).runs == {"left": 1}
