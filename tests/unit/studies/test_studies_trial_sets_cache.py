import subprocess
import sys
from dataclasses import replace

import attempt_world as small
import numpy as np
import pytest

from synthgap.data import ImageSet
from synthgap.experiments.runs.subsets import prefix
from synthgap.generation.synthesis.planning import planned_set
from synthgap.generation.synthesis.synthesize import cached_set, synthesize
from synthgap.studies.trials import image_sets as module
from synthgap.studies.trials.image_sets import TrialSets, first, smaller, synthesize_params

WHOLE = 3 * small.EACH


@pytest.fixture
def world(tmp_path, checkout, monkeypatch):
    return small.trial_world(tmp_path, checkout, monkeypatch)


def place(world, name="g2.0"):
    return cached_set(planned_set(synthesize_params(world.params), world.artifacts, name))


def test_a_set_is_sampled_once_and_kept_open(world):
    trial_sets = TrialSets(world.artifacts)
    source = trial_sets.source(world.params, 1.0)
    assert np.bincount(source.images.labels).tolist() == [small.EACH] * 3
    assert source.name == "g2.0"
    assert trial_sets.source(world.params, 1.0) is source
    again = TrialSets(world.artifacts).source(world.params, 1.0)  # another worker
    assert again.images.digest == source.images.digest
    assert small.num_sampled(world) == WHOLE


def test_the_stage_takes_what_a_trial_has_made(world):
    digest = TrialSets(world.artifacts).source(world.params, 1.0).images.digest
    synthesize(synthesize_params(world.params), world.artifacts, image_set="g2.0")
    assert ImageSet.read(world.artifacts.image_set("g2.0")).digest == digest
    assert small.num_sampled(world) == WHOLE


def test_a_share_costs_a_share(world):
    source = TrialSets(world.artifacts).source(world.params, 0.5)
    assert np.bincount(source.images.labels).tolist() == [4, 4, 4]
    assert small.num_sampled(world) == WHOLE / 2
    assert not place(world).exists()
    assert source.name == "g2.0"


def test_a_promising_trial_pays_for_the_rest_alone(world):
    TrialSets(world.artifacts).source(world.params, 0.5)
    whole = TrialSets(world.artifacts, (0.25, 0.5, 1.0)).source(world.params, 1.0)
    assert small.num_sampled(world) == WHOLE
    assert len(whole.images) == WHOLE


def test_a_share_is_the_same_whether_the_whole_set_is_there_or_not(world):
    alone = TrialSets(world.artifacts).source(world.params, 0.5)
    whole = TrialSets(world.artifacts).source(world.params, 1.0)
    before = small.num_sampled(world)
    cut = TrialSets(world.artifacts).source(world.params, 0.5)
    assert small.num_sampled(world) == before
    assert cut.images.digest == alone.images.digest
    assert (cut.labelled.images == alone.labelled.images).all()
    rows = prefix(whole.images.labels, 0.5)
    assert (cut.labelled.images == whole.labelled.images[rows]).all()
    assert [cut.images.content(n) for n in range(12)] == [
        alone.images.content(n) for n in range(12)
    ]


@pytest.mark.parametrize(("count", "share", "kept"), [(5, 0.5, 2), (7, 0.5, 4), (3, 0.05, 1)])
def test_halves_are_rounded_as_subsets_are(world, count, share, kept):
    """A smaller set has its halves rounded up, and is no smaller than a tenth: it is cut."""
    params = replace(world.params, synthesize=replace(world.params.synthesize, count=count))
    alone = TrialSets(world.artifacts).source(params, share)
    assert np.bincount(alone.images.labels).tolist() == [kept] * 3
    TrialSets(world.artifacts).source(params, 1.0)
    assert TrialSets(world.artifacts).source(params, share).images.digest == alone.images.digest


def test_a_set_in_shards_is_cut_too(world):
    section = replace(world.params.synthesize, shard_above=5)
    params = replace(world.params, synthesize=section)
    whole = TrialSets(world.artifacts).source(params, 1.0)
    assert whole.images.ranges is not None
    few = first(whole, [2, 1, 0])
    rows = [0, 1, small.EACH]
    assert [few.images.content(n) for n in range(3)] == [whole.images.content(n) for n in rows]
    assert few.labelled.labels.tolist() == [0, 0, 1]


def test_other_settings_are_other_sets(world):
    trial_sets = TrialSets(world.artifacts)
    one = trial_sets.source(world.params, 1.0)
    for changed in (
        world.changed("guide", image_set="g3.0"),
        world.changed("synthesize", negative_prompt="no"),
        replace(world, params=replace(world.params, seed=1)),
    ):
        assert trial_sets.source(changed.params, 1.0) is not one
    assert small.num_sampled(world) == 4 * WHOLE


def test_a_damaged_set_is_made_again(world, capfd):
    digest = TrialSets(world.artifacts).source(world.params, 1.0).images.digest
    kept = next(place(world).glob("bright/*.png"))
    kept.write_bytes(b"")
    for packed in (world.artifacts.root / ".synthgap" / "packed").iterdir():
        packed.unlink()
    assert TrialSets(world.artifacts).source(world.params, 1.0).images.digest == digest
    assert small.num_sampled(world) == 2 * WHOLE
    assert "made again" in capfd.readouterr().err
    assert [one.name for one in place(world).parent.iterdir()] == [place(world).name]


def test_only_so_much_is_kept_in_memory(world, monkeypatch):
    monkeypatch.setattr(module, "MEMORY", WHOLE * 16 * 16 * 3)
    trial_sets = TrialSets(world.artifacts)
    one = trial_sets.source(world.params, 1.0)
    other = trial_sets.source(world.changed("guide", image_set="g3.0").params, 1.0)
    assert trial_sets.source(world.changed("guide", image_set="g3.0").params, 1.0) is other
    assert trial_sets.source(world.params, 1.0) is not one


def test_beside_other_threads_nothing_is_forked(world, monkeypatch):
    params = world.changed("runtime", workers=2).params
    threaded = replace(params, runtime=replace(params.runtime, threads=2))
    for threads, workers in ((1, 2), (2, 1)):  # with a heartbeat there are two
        monkeypatch.setattr(module.threading, "active_count", lambda n=threads: n)
        assert synthesize_params(params).runtime.workers == workers
        assert synthesize_params(threaded).runtime.workers == 1


@pytest.mark.parametrize(
    ("name", "share", "expected"),
    [
        ("g2.0", 0.5, "g2.0-x0.5"),
        ("g2.0-definition-s10-x4", 0.25, "g2.0-definition-s10-x1"),
        ("dit-g2.0", 0.01, "dit-g2.0-x0.1"),
        ("g2.0", 1 / 3, "g2.0-x0.3334"),
    ],
)
def test_names_of_smaller_sets(name, share, expected):
    assert smaller(name, share) == expected


def test_what_samples_is_imported_when_something_is_sampled():
    say = "import sys; print([one for one in ('diffusers', 'transformers') if one in sys.modules])"
    command = f"import synthgap.studies.trials.attempt; {say}"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
