"""A checkout in which studies of the command line run in seconds: nothing is trained or drawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from synthgap.errors import TrainingError
from synthgap.params import parse_params
from synthgap.params.sections import Params
from synthgap.studies.trials.plan import AttemptReport, StudyPlan

QUICK = """\
  quick:
    protocol: low-shot
    method: rg-pg
    objectives: [val/top1]
    watched: [holdout]
    constraints: {}
    sampler: tpe
    pruner: none
    trials: 8
    seeds: [0, 1]
    shares: [1.0]
    first: []
    grid: [guide.image_set.guidance_scale, guide.augmentation]
    space:
      guide.image_set.guidance_scale: [1.0, 2.0]
      guide.augmentation: [none, pytorch, dino]
      guide.rg.lambda_1: {low: 0.05, high: 0.95, step: 0.05, log: false}
    finals: {count: 2, seeds: [10, 11], scored_seeds: [20, 21, 22]}
"""
ABOUT = {"environment": {"threads": 1}, "num_val": 250}
LABELS = {"generator": 700, "reference": 0, "student": 50}


class World:
    """An attempt by a rule: guidance 1, `dino` and a high lambda_1 are better."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, Any], int]] = []
        self.stop_after: int | None = None  # then Ctrl-C
        self.gain = 1.0
        self.output = ""
        self.num_calls = 0
        self.num_verdicts = 0

    @classmethod
    def here(cls, patch: pytest.MonkeyPatch) -> World:
        """Put one in place of all that is slow."""
        from synthgap.reporting import studies_section
        from synthgap.studies import session
        from synthgap.studies.trials import image_sets, verdict
        from synthgap.tracking import sender as tracked

        world = cls()
        _remember_parsed(patch)
        patch.setenv("SYNTHGAP_TRACKING", "off")
        patch.delenv("SYNTHGAP_STUDIES", raising=False)
        patch.setattr(session, "open_attempt", world.open)
        patch.setattr(session, "surroundings", lambda _plan, _artifacts: ABOUT)
        patch.setattr(session, "code_digest", lambda _stage: "c0de")
        patch.setattr(
            image_sets, "sets_of", lambda _plan, _artifacts: {"g1.0": True, "g2.0": False}
        )
        patch.setattr(verdict, "verdict", world.judge)
        patch.setattr(studies_section, "write_study_page", _page)
        patch.setattr(tracked, "log_study", lambda _root, _folder: None)
        return world

    def open(self, plan: StudyPlan, _artifacts: object) -> tuple[StudyPlan, World]:
        """What `session.open_attempt` gives."""
        return replace(plan, inputs={"artifacts/sets/digits/train": "1" * 64}), self

    def judge(
        self, plan: StudyPlan, winner: Mapping[str, Any], _artifacts: object, *, existing: object
    ) -> dict[str, Any]:
        """A verdict that is counted."""
        assert existing is None
        self.num_verdicts += 1
        return scored(plan, winner)

    def __call__(
        self, values: Mapping[str, object], *, seed: int, share: float
    ) -> Iterator[AttemptReport]:
        if self.stop_after is not None and len(self.calls) >= self.stop_after:
            raise KeyboardInterrupt
        self.calls.append((dict(values), seed))
        if values["guide.augmentation"] == "pytorch" and values["guide.rg.lambda_1"] > 0.9:
            raise TrainingError("loss is nan; lower the learning rate")
        top1 = 80.0 + self.gain * (values["guide.image_set.guidance_scale"] == 1.0)
        top1 += 2 * self.gain * (values["guide.augmentation"] == "dino")
        top1 += self.gain * float(values["guide.rg.lambda_1"]) + 0.1 * (seed % 10)
        for epoch in (1, 2):
            metrics = {"val/top1": top1 + epoch - 2, "val/loss": 1 / epoch, "holdout": top1 / 2}
            metrics["real_labels"] = 50.0 * float(values["guide.image_set.guidance_scale"])
            yield AttemptReport(
                epoch, 10 * epoch, metrics, {"num_images": 600, "real_labels": LABELS}
            )


def scored(plan: StudyPlan, winner: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict as the real one has it."""
    estimate = {"mean": 82.0, "std": 0.5, "n": 3, "over": "seeds"}
    return {
        "seeds": [*plan.study.finals.scored_seeds],
        "winner": [81.5, 82.0, 82.5],
        "default": [80.0, 80.5, 81.0],
        "difference": {
            "mean": 1.5, "low": 0.5, "high": 2.5, "confidence": 0.95, "n": 3, "over": "seeds"
        },
        "winner_top1": estimate,
        "default_top1": {**estimate, "mean": 80.5},
        "num_test_images": 497,
    }  # fmt: skip


def build(root: Path, checkout: Path, patch: pytest.MonkeyPatch) -> None:
    """Make `root` a checkout with a study `quick`, and go there."""
    shutil.copytree(checkout / "recipes", root / "recipes")
    text = (root / "recipes" / "digits.yaml").read_text(encoding="utf-8")
    (root / "params.yaml").write_text(text.replace("\nregister:", f"{QUICK}\nregister:", 1))
    patch.chdir(root)


def _remember_parsed(patch: pytest.MonkeyPatch) -> None:
    """Parse equal texts once: every command reads params.yaml, which takes its time."""
    from synthgap.params import editing, reading

    patch.setattr(reading, "parse_params", _parsed)
    patch.setattr(editing, "parse_params", _parsed)


@cache
def _parsed(text: str, *, place: str) -> Params:
    return parse_params(text, place=place)


def _page(_run_json: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text("a page")
    return folder / "index.html"
