"""What a training step costs when the first N units of ResNet-18 are frozen, for every N.

The bound is the same arranged network by hand: the prefix forward without graph, the rest forward
and backward, the optimiser over the rest, all on one fixed batch. `step` is the engine on that
batch, `whole` cuts its crops as well; `cost` is whole against whole at depth 0, as `bound` is, and
`flops` what the operations alone would say.

    python benchmarks/depth_cost.py [--quick] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from dataclasses import replace as changed
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional
from train_specs import learner_of, noise, student, training_of
from turns import Times, arguments, in_turns, keep, quotients, report, spread

from synthgap.models.frozen_prefix import freeze
from synthgap.models.memory_layout import optimise_layout
from synthgap.models.units import unit_flops, units_of
from synthgap.training.batch_loader import Batch, BatchLoader
from synthgap.training.checkpointing import EpochProgress
from synthgap.training.epoch_runner import EpochRunner
from synthgap.training.labelled_images import LabelledImages
from synthgap.training.optimizer import build_optimizer

TARGET = 1.2
CLASSES = 10
TRAINING = training_of()


@dataclass(frozen=True)
class SameBatch(BatchLoader):
    """Serves one batch again and again."""

    batch: Batch | None = None

    @classmethod
    def like(cls, loader: BatchLoader) -> SameBatch:
        """Take the first batch that `server` would give."""
        _, (batch,) = next(iter(loader.steps(1, after=0)))
        same = {field.name: getattr(loader, field.name) for field in fields(loader)}
        return cls(**same, batch=batch)

    def steps(self, epoch: int, *, after: int):  # noqa: ANN201, ARG002 - as BatchLoader's
        """Yield it once a step."""
        yield from ((step, [self.batch]) for step in range(1, self.train_spec.num_steps + 1))


def learner_at(depth: int, images: LabelledImages, steps: int) -> EpochRunner:
    """An engine whose student has its first units frozen."""
    model = student("resnet18", CLASSES, seed=0)
    freeze(model, depth)
    return learner_of(model, images, TRAINING, Accelerator(cpu=True), steps=steps)


def by_hand(depth: int, batch: Batch, steps: int) -> Callable[[], None]:
    """The bound at a depth."""
    model = student("resnet18", CLASSES, seed=0)
    optimise_layout(model)
    units = in_units(model)
    prefix, rest = nn.Sequential(*units[:depth]).eval(), nn.Sequential(*units[depth:]).train()
    optimizer = build_optimizer(rest, TRAINING, torch.device("cpu"))
    labels = batch.targets.labels.repeat(9)

    def run() -> None:
        for _ in range(steps):
            with torch.no_grad():
                reached = [prefix(crops) for crops in batch.crops]
            logits = torch.cat([rest(activations) for activations in reached])
            functional.cross_entropy(logits, labels).backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def in_units(model: nn.Module) -> list[nn.Module]:
    """A ResNet of basic blocks as the sequence of its units."""
    part = model.get_submodule
    stem = nn.Sequential(part("conv1"), part("bn1"), part("act1"), part("maxpool"))
    blocks = [block for stage in range(1, 5) for block in part(f"layer{stage}").children()]
    units = [stem, *blocks, nn.Sequential(part("global_pool"), part("fc"))]
    assert len(units) == len(units_of(model))
    return units


def flop_ratios() -> list[float]:
    """Operations of a step by depth: a forward where frozen, three forwards' worth elsewhere.

    As they are always counted, with the padding: late units look dearer than they are.
    """
    model = student("resnet18", CLASSES, seed=0)
    groups = (TRAINING.global_crops, TRAINING.local_crops)
    counts = [[crops.count * flops for flops in unit_flops(model, crops.size)] for crops in groups]
    units = [sum(both) for both in zip(*counts, strict=True)]
    total = sum(units)
    return [
        (sum(units[:depth]) + 3 * sum(units[depth:])) / (3 * total) for depth in range(len(units))
    ]


def measure(depths: list[int], *, steps: int, rounds: int) -> Times:
    """Seconds of `step`, `whole` and `bound` at each depth, all depths in each round."""
    images = noise(1024, 32, num_classes=CLASSES)
    sides: dict[str, Callable[[], object]] = {}
    for depth in depths:
        whole = learner_at(depth, images, steps)
        same = SameBatch.like(whole.train_step.loader)
        fed = changed(whole, train_step=changed(whole.train_step, loader=same))
        sides[f"bound {depth}"] = by_hand(depth, same.batch, steps)
        sides[f"step {depth}"] = lambda fed=fed: fed.epoch(1, EpochProgress(), None)
        sides[f"whole {depth}"] = lambda whole=whole: whole.epoch(1, EpochProgress(), None)
    return in_turns(sides, rounds)


def row_of(depth: int, times: Times, flops: float) -> dict[str, Any]:
    """One line of the table; `cost` and `bound` are relative to depth 0."""
    step, whole, bound = (times[f"{side} {depth}"] for side in ("step", "whole", "bound"))
    cost, floor = (
        quotients(times[f"{side} {depth}"], times[f"{side} 0"]) for side in ("whole", "bound")
    )
    over = [
        (own / first) / (least / least_first)
        for own, first, least, least_first in zip(
            whole, times["whole 0"], bound, times["bound 0"], strict=True
        )
    ]
    return {
        "depth": depth,
        "cost": cost,
        "bound": floor,
        "flops": flops,
        "cost/bound": spread(over),
        "step/bound": quotients(step, bound),
        "whole/bound": quotients(whole, bound),
    }


def _middle(value: float | dict[str, float]) -> float:
    return value["median"] if isinstance(value, dict) else value


def main() -> None:
    """Measure, print, keep."""
    given = arguments(__doc__, rounds=5, threads=2).parse_args()
    torch.set_num_threads(given.threads)
    steps, rounds = (1, 2) if given.quick else (4, given.rounds)
    flops = flop_ratios()
    depths = list(range(0, len(flops), 3 if given.quick else 1))
    times = measure(depths, steps=steps, rounds=rounds)
    rows = [row_of(depth, times, flops[depth]) for depth in depths]
    print(" ".join(f"{name:>12}" for name in rows[0]))
    for row in rows:
        print(" ".join(f"{_middle(value):>12.3g}" for value in row.values()))
    worst = {
        name: max((row[name] for row in rows), key=_middle) for name in ("step/bound", "cost/bound")
    }
    met = {name: _middle(ratio) <= TARGET for name, ratio in worst.items()}
    for name, ratio in worst.items():
        report(f"{name} at its worst depth", ratio, f"at most {TARGET}", met=met[name])
    keep(
        given,
        {
            "what": "ResNet-18, 32 px, 1x32 + 8x16, batch 64; cost of a step with N units frozen",
            "depths": rows,
            "worst": worst,
            "target": {"at_most": TARGET},
            "seconds": times,
            "steps_a_round": steps,
        },
    )


if __name__ == "__main__":
    main()
