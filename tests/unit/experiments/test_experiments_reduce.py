import pytest

from synthgap.artifacts import read_json, silent
from synthgap.experiments.reduce import ReduceParams, reduce


@pytest.mark.parametrize("subset", ["stratified", "coreset"])
def test_a_tail_learns_from_the_share_that_was_chosen(shelf, subset):
    world = shelf.changed("reduce", subset=subset, seeds=(0,))
    reduce(world.sections(ReduceParams), world.artifacts, silent, denominator=4, depth=4)
    record = read_json(world.artifacts.cell("reduce", 4, 4) / "run.json")
    (run,) = record["runs"]
    assert (run["arm"], run["depth"], run["fraction"]) == ("prefix", 4, 0.25)
    assert run["real_labels"] == {"generator": 24, "donor": 0, "student": 6}
    assert record["params"]["reduce"]["subset"] == subset
