"""Guided training steps against the plain step over the same images: ResNet-18 at 32 px.

PG's bound is the plain step plus the reference's forward pass, by their floating-point operations
(a training step counts three forward passes); where the augmentation leaves nothing to chance the
reference was asked before the first step. RG takes two gradients, of half the batch each.

    python benchmarks/guidance.py [--quick] [--rounds 7] [--threads 1] [--batch 128]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from train_specs import noise, student, training_of
from turns import Times, arguments, in_turns, keep, quotients, report, spread

from synthgap.guidance.method_context import MethodContext, Phases
from synthgap.guidance.pg_rg import pg_f, pg_kl, rg, rg_pg
from synthgap.guidance.reference import ReferenceNetwork
from synthgap.models.memory_layout import optimise_layout
from synthgap.models.reference import Preprocessing
from synthgap.models.units import unit_flops
from synthgap.params.guidance import Guide, Pg, Rg, Weights
from synthgap.training.checkpointing import EpochProgress
from synthgap.training.epoch_runner import EpochRunner
from synthgap.training.loop import Phase
from synthgap.training.train_spec import TrainSpec

STUDENT, REFERENCE, SIZE_PX, NUM_IMAGES = "resnet18", "resnet34", 32, 2048
PG_TARGET, CACHED_TARGET, RG_TARGET = 1.15, 1.05, 1.25
BESIDE = {  # each side's plain one: the same images, and one of its neighbours in time
    "pg": "plain",
    "pg, cached": "plain, cached",
    "rg": "plain, both kinds",
    "pg-f": "plain, both kinds",
    "rg-pg": "plain, both kinds",
}
SIGHT = Preprocessing(SIZE_PX, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PG = Pg("tutor", None, None, "cosine", "kl", 1.0, Weights(l1=1.0, kl=1.0))


def _fresh(seed: int) -> nn.Module:
    return student(STUDENT, 10, seed=seed)


@dataclass(frozen=True)
class Bench:
    """What all sides share."""

    reference: ReferenceNetwork
    accelerator: Accelerator
    batch_size: int
    steps: int

    def task(self, augmentation: str) -> MethodContext:
        """Half of the images pass for real ones."""
        training = training_of(SIZE_PX, batch_size=self.batch_size)
        training = replace(training, augmentation=augmentation)
        train_spec = TrainSpec("bench", noise(NUM_IMAGES, SIZE_PX, num_classes=10), training, 0, {})
        train_spec = replace(train_spec, steps_per_epoch=self.steps)
        others = dict.fromkeys(("prefix", "asg", "csg", "dann", "adda", "dada", "ltda"))
        guide = Guide(
            "g", (0,), 1, augmentation, 0.5, 0.25, 1.0, pg=PG, rg=Rg(1.0, 1.0, "whole"), **others
        )
        half = NUM_IMAGES // 2
        references = {"tutor": self.reference}
        return MethodContext(_fresh(0), train_spec, half, half, 10, guide, references, _fresh)

    def side(self, method: Phases, *, augmentation: str = "pytorch") -> Callable[[], object]:
        """Steps of a method; what it does once is done here."""
        task = self.task(augmentation)
        (phase,) = method(task)
        train_step = phase.train_step(task.student, phase.train_spec, self.accelerator)
        runner = EpochRunner(phase.train_spec, train_step)
        return lambda: runner.epoch(1, EpochProgress(), None)


def plain_synthetic(task: MethodContext) -> list[Phase]:
    """What zero-shot PG adds to."""
    return [Phase(task.only_synthetic())]


def plain_both(task: MethodContext) -> list[Phase]:
    """What RG takes apart, and PG adds to where there are real images."""
    return [Phase(task.both())]


def sides(run_context: Bench) -> dict[str, Callable[[], object]]:
    """All of them; neighbours are compared."""
    return {
        "plain": run_context.side(plain_synthetic),
        "pg": run_context.side(pg_kl),
        "plain, cached": run_context.side(plain_synthetic, augmentation="none"),
        "pg, cached": run_context.side(pg_kl, augmentation="none"),
        "plain, both kinds": run_context.side(plain_both),
        "rg": run_context.side(rg),
        "pg-f": run_context.side(pg_f),
        "rg-pg": run_context.side(rg_pg),
    }


def bound_of_pg(names: Sequence[str] = (STUDENT, REFERENCE)) -> tuple[float, dict[str, int]]:
    """What a step costs with a forward pass of the reference, plain ones being 1; and the FLOPs."""
    flops = {name: sum(unit_flops(student(name, 10, seed=0), SIZE_PX)) for name in names}
    return 1 + flops[REFERENCE] / (3 * flops[STUDENT]), flops


def judged(times: Times, bound: float) -> dict[str, Any]:
    """Every side over the plain one beside it, and what is promised of it."""
    over = {name: quotients(times[name], times[plain]) for name, plain in BESIDE.items()}
    ratios = {
        "pg over its bound": {name: value / bound for name, value in over["pg"].items()},
        "pg with remembered features over plain": over["pg, cached"],
        "rg over plain": over["rg"],
    }
    targets = dict(zip(ratios, (PG_TARGET, CACHED_TARGET, RG_TARGET), strict=True))
    for name, ratio in ratios.items():
        target = targets[name]
        report(name, ratio, f"at most {target}", met=ratio["median"] <= target)
    return {"ratios": ratios, "over_plain": over, "target": {"at_most": targets}}


def main() -> None:
    """Measure, print, keep."""
    parser = arguments(__doc__, rounds=7, threads=1)
    parser.add_argument("--batch", type=int, default=128, help="images a step")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    steps, rounds = (2, 2) if given.quick else (6, given.rounds)
    network = student(REFERENCE, 10, seed=1).eval().requires_grad_(False)  # noqa: FBT003 - torch's
    optimise_layout(network)  # as an opened reference is
    reference = ReferenceNetwork(network, SIGHT, "bench", {"title": REFERENCE}, 10)
    times = in_turns(sides(Bench(reference, Accelerator(cpu=True), given.batch, steps)), rounds)
    bound, flops = bound_of_pg()
    found = judged(times, bound)
    rates = {
        name: spread([given.batch * steps / seconds for seconds in values])
        for name, values in times.items()
    }
    print({name: round(rate["median"]) for name, rate in rates.items()}, "images/s")
    rounded = {name: round(ratio["median"], 2) for name, ratio in found["over_plain"].items()}
    print("over plain:", rounded, f"bound of pg: {bound:.2f}")
    found |= {"bound_of_pg_over_plain": bound, "forward_flops_an_image": flops}
    found |= {"images_per_s": rates, "seconds": times, "steps_a_round": steps}
    what = f"{STUDENT}, {SIZE_PX} px, batch {given.batch}, one crop; reference {REFERENCE}"
    keep(given, {"what": what, **found})


if __name__ == "__main__":
    main()
