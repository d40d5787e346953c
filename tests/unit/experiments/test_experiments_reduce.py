import pytest

from synthgap.experiments.reduce import ReduceParams, reduce
from synthgap.jobs import read_json, silent


@pytest.mark.parametrize("subset", ["stratified", "coreset"])
def test_a_tail_learns_from_the_share_that_was_chosen(prepared, subset):
    world = prepared.changed("reduce", subset=subset, seeds=(0,), depths=(4,))
    reduce(world.sections(ReduceParams), world.artifacts, silent, denominator=4)
    record = read_json(world.artifacts.cell("reduce", 4) / "run.json")
    runs = {run["arm"]: run for run in record["runs"]}
    assert [*runs] == ["scratch", "finetune", "prefix"]
    assert [run["depth"] for run in runs.values()] == [0, 0, 4]
    assert {run["fraction"] for run in runs.values()} == {0.25}
    assert runs["prefix"]["real_labels"] == {"generator": 24, "donor": 0, "student": 6}
    assert runs["scratch"]["donor_set"] is None
    assert record["params"]["reduce"]["subset"] == subset


def test_one_more_depth_leaves_the_other_runs_what_they_are(prepared):
    digests = []
    for depths in ((4,), (3, 4)):
        world = prepared.changed("reduce", seeds=(0,), depths=depths)
        reduce(world.sections(ReduceParams), world.artifacts, silent, denominator=4)
        runs = read_json(world.artifacts.cell("reduce", 4) / "run.json")["runs"]
        digests.append({run["digest"] for run in runs})
    assert (len(digests[0]), len(digests[1])) == (3, 4)
    assert digests[0] < digests[1]
