import os
import signal
from dataclasses import replace

import pytest
from search_world import (
    KilledError,
    Rule,
    plan_of,
    rows_of_search,
    text,
)

from synthgap.errors import ParamsError
from synthgap.params.studies import Bound

TWO = {"objectives": ("val/top1", "val/loss"), "watched": (), "pruner": "none"}


def test_equal_seeds_give_equal_trials_and_others_do_not(tmp_path):
    plan = plan_of()
    first, second = (rows_of_search(plan, tmp_path, name=name) for name in ("a", "b"))
    assert text(first) == text(second)
    other = replace(plan, base=replace(plan.base, seed=1))
    moved = [row["tuned"] for row in rows_of_search(other, tmp_path, name="c")]
    assert moved[:10] == [row["tuned"] for row in first[:10]]
    assert moved[10:] != [row["tuned"] for row in first[10:]]


@pytest.mark.parametrize(
    "changed",
    [
        {"pruner": "successive_halving"},
        {"pruner": "hyperband"},
        {"pruner": "median"},
        {"pruner": "wilcoxon", "seeds": (0, 1, 2)},
        {**TWO, "sampler": "nsga2"},
        {**TWO, "sampler": "tpe"},
        {"sampler": "gp", "trials": 12, "constraints": {"val/loss": Bound(None, 0.31)}},
    ],
    ids=lambda changed: "-".join(
        str(changed[key]) for key in ("sampler", "pruner") if key in changed
    ),
)
def test_killed_after_any_trial_it_ends_as_if_nothing_had_happened(tmp_path, changed):
    plan = plan_of(**{"trials": 16, **changed})
    whole = rows_of_search(plan, tmp_path)
    lines = (tmp_path / "kept.jsonl").read_bytes().splitlines(keepends=True)
    for count in sorted({4, *range(10, len(lines), 3), len(lines)}):
        cut = tmp_path / f"{count}.jsonl"
        half = lines[count][:40] if count < len(lines) else b""
        cut.write_bytes(b"".join(lines[:count]) + half)
        assert text(rows_of_search(plan, tmp_path, name=cut.name)) == text(whole), count
        assert cut.read_bytes() == (tmp_path / "kept.jsonl").read_bytes()


def test_killed_in_the_middle_of_a_trial_it_is_made_again(tmp_path):
    plan, whole = plan_of(), rows_of_search(plan_of(), tmp_path)
    for stop_at in (5, 13):
        name = f"{stop_at}.jsonl"
        with pytest.raises(KilledError):
            rows_of_search(plan, tmp_path, Rule(stop_at=stop_at), name=name)
        assert text(rows_of_search(plan, tmp_path, name=name)) == text(whole)


def test_killed_with_no_warning_it_goes_on(tmp_path):
    class Suicidal(Rule):
        def measured(self, metrics, values):
            if len(self.calls) == 13:
                os.kill(os.getpid(), signal.SIGKILL)
            return metrics

    plan = plan_of(trials=14)
    if not (child := os.fork()):
        rows_of_search(plan, tmp_path, Suicidal())
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    attempt = Rule()
    assert text(rows_of_search(plan, tmp_path, attempt)) == text(
        rows_of_search(plan, tmp_path, name="whole")
    )
    assert len(attempt.calls) < 6


def test_the_budget_is_exact_and_nothing_that_ended_is_made_again(tmp_path):
    plan, attempt = plan_of(), Rule()
    rows = rows_of_search(plan, tmp_path, attempt)
    assert [row["trial"] for row in rows] == list(range(20))
    before = len(attempt.calls)
    assert rows_of_search(plan, tmp_path, attempt) == rows
    assert len(attempt.calls) == before


def test_slots_are_checked_before_any_attempt(tmp_path):
    attempt = Rule()
    with pytest.raises(ParamsError):
        rows_of_search(plan_of(trials=5), tmp_path, attempt)
    assert attempt.calls == []
