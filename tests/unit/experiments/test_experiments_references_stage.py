"""References learn on corpus without labels, survive a kill, or come from elsewhere."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from synthgap.data import ImageSet
from synthgap.errors import DataError, ParamsError
from synthgap.experiments.references.stage import ReferencesParams, make_reference
from synthgap.guidance.reference import ReferenceNetwork, student_from
from synthgap.jobs import read_json, silent
from synthgap.models.build import build_student, timm_model
from synthgap.params.references import Pretext
from synthgap.params.references import Reference as Wanted
from synthgap.params.sections import NetworkPin

PRETEXT = Pretext(
    task="contrastive",
    model=None,
    options={},
    epochs=2,
    batch_size=12,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=1e-4,
    scale=(0.5, 1.0),
    jitter=0.0,
    temperature=0.2,
    projection=6,
    seed=0,
)
TUTOR = replace(PRETEXT, task="rotation", model="test_vit", options={"img_size": 16})
ELSEWHERE = Wanted("pin", NetworkPin("test_resnet", "w.safetensors"), None)


def copied(prepared, root):
    """Its real training images under the name of what the generator has seen."""
    world = replace(prepared, artifacts=replace(prepared.artifacts, root=root))
    shutil.copytree(prepared.artifacts.image_set("train"), world.artifacts.image_set("corpus"))
    wanted = {
        "twin": Wanted("train", None, PRETEXT),
        "tutor": Wanted("train", None, TUTOR),
        "elsewhere": ELSEWHERE,
    }
    world = replace(world, params=replace(world.params, references=wanted))
    return world.changed("runtime", checkpoint_every_epochs=1)


def make(world, name, log=silent):
    make_reference(world.sections(ReferencesParams), world.artifacts, log, name=name)
    return world.artifacts.stage("references") / name


@pytest.fixture(scope="module")
def made(prepared, tmp_path_factory):
    """Read only: a twin that was trained without interruption."""
    logged = []
    world = copied(prepared, tmp_path_factory.mktemp("references"))
    return world, make(world, "twin", lambda digest, event: logged.append((digest, event))), logged


def test_it_says_what_it_is_and_that_no_label_was_used(made):
    world, folder, _ = made
    about, corpus = (
        ReferenceNetwork.open(folder).about,
        ImageSet.read(world.artifacts.image_set("corpus")),
    )
    assert about["title"] == "resnet10t, contrastive on 24 images of corpus, no labels"
    known = {"kind", "model", "pretext", "set", "set_digest", "num_images", "labels_used"}
    assert {name: about[name] for name in known} == {
        "kind": "train",
        "model": "resnet10t",
        "pretext": "contrastive",
        "set": "corpus",
        "set_digest": corpus.digest,
        "num_images": len(corpus),
        "labels_used": 0,
    }


def test_its_run_is_recorded_and_told_as_other_trainings(made):
    world, folder, logged = made
    about = read_json(folder / "run.json")
    (run,) = about["runs"]
    assert (run["experiment"], run["name"], run["set"]) == ("references", "twin", "corpus")
    assert run["real_labels"] == {"generator": 0, "donor": 0, "student": 0}
    assert [epoch["epoch"] for epoch in run["epochs"]] == [1, 2]
    assert run["last"].keys() == {"train/loss", "train/top1", "train/top5"}
    corpus = ImageSet.read(world.artifacts.image_set("corpus"))
    assert about["inputs"] == {f"artifacts/sets/{world.params.recipe}/corpus": corpus.digest}
    assert {digest for digest, _ in logged} == {run["digest"]}
    assert [event["event"] for _, event in logged] == ["start", "epoch", "epoch", "end"]


def test_killed_after_an_epoch_it_ends_with_the_same_bytes(made, prepared, tmp_path):
    def killed(_digest, event):
        if event["event"] == "epoch" and event["metrics"]["epoch"] == 1:
            raise KeyboardInterrupt

    world = copied(prepared, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        make(world, "twin", killed)
    assert not world.artifacts.stage("references").exists()
    (state,) = world.artifacts.work.rglob("state.pt")
    assert len(torch.load(state, weights_only=True)["epochs"]) == 1
    assert contents(make(world, "twin")) == contents(made[1])
    assert not list(world.artifacts.work.rglob("state.pt"))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_permuted_labels_give_the_same_weights(made, prepared, tmp_path):
    world = copied(prepared, tmp_path)
    path = world.artifacts.image_set("corpus") / "manifest.parquet"
    table = pq.read_table(path)
    labels = np.random.default_rng(0).permutation(table.column("label").to_pylist())
    place = table.column_names.index("label")
    pq.write_table(table.set_column(place, "label", pa.array(labels, pa.int64())), path)
    before = ImageSet.read(made[0].artifacts.image_set("corpus")).labels
    assert (ImageSet.read(world.artifacts.image_set("corpus")).labels != before).any()
    other = load_file(make(world, "twin") / "weights.safetensors")
    first = load_file(made[1] / "weights.safetensors")
    assert all(torch.equal(first[name], other[name]) for name in first)


def test_a_student_starts_from_the_twin(made):
    world, folder, _ = made
    started = build_student(student_from(world.params.student, folder), 3, seed=1)
    weights = load_file(folder / "weights.safetensors")
    assert torch.equal(
        started.state_dict()["layer1.0.conv1.weight"], weights["layer1.0.conv1.weight"]
    )
    assert ReferenceNetwork.open(folder).has_architecture_of(started)


def test_another_network_learns_by_rotation(made, prepared, tmp_path):
    world = copied(prepared, tmp_path)
    reference = ReferenceNetwork.open(make(world, "tutor"))
    assert (reference.about["model"], reference.num_outputs) == ("test_vit", 4)
    assert reference.features(torch.rand(2, 3, 16, 16)).shape[0] == 2
    assert not reference.has_architecture_of(build_student(world.params.student, 3, seed=1))


def test_a_pinned_one_is_kept_as_it_came(prepared, tmp_path):
    world = copied(prepared, tmp_path)
    state = timm_model("test_resnet", {}, 5, place="").state_dict()
    save_file(state, tmp_path / "w.safetensors")
    folder = make(world, "elsewhere")
    assert all(
        torch.equal(value, state[name])
        for name, value in load_file(folder / "weights.safetensors").items()
    )
    about = read_json(folder / "run.json")
    assert about["runs"] == []
    assert list(about["inputs"]) == ["weights/w.safetensors"]
    assert ReferenceNetwork.open(folder).about["labels_used"] is None


def test_without_images_or_under_another_name_it_says_what_to_do(prepared, tmp_path):
    world = copied(prepared, tmp_path)
    path = world.artifacts.image_set("corpus") / "manifest.parquet"
    pq.write_table(pq.read_table(path).slice(0, 1), path)
    with pytest.raises(DataError, match="1 images, expected at least 2"):
        make(world, "twin")
    with pytest.raises(ParamsError, match="no 'tutr', expected one of twin, tutor, elsewhere"):
        make(world, "tutr")


@pytest.mark.parametrize(
    ("changed", "output"),
    [
        ({"scale": (0.8, 0.5)}, "scale"),
        ({"options": {"depth": 2}}, "options"),
        ({"batch_size": 1}, "batch_size"),
        ({"temperature": 0.0}, "temperature"),
    ],
)
def test_values_out_of_range_are_named(changed, output):
    assert not list(PRETEXT.problems())
    (problem,) = replace(PRETEXT, **changed).problems()
    assert problem.startswith(output)


def test_a_reference_is_trained_or_pinned():
    (problem,) = replace(ELSEWHERE, pretext=PRETEXT).problems()
    assert problem == "kind: pin, but `pretext` is set; expected it with train alone"
    assert len(list(Wanted("train", NetworkPin("resnet18", "hub"), None).problems())) == 2
