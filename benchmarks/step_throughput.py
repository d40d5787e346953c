"""Whole training steps against the model alone, fed one fixed batch: ResNet-18 at 32 px.

Both sides have the same arranged model, optimiser and crops (1x32 + 8x16 px, full colour). The
whole step cuts and colours its crops anew, reads its loss and counts its hits.

    python benchmarks/step_throughput.py [--quick] [--rounds 7] [--threads 2]
"""

from __future__ import annotations

import torch
from accelerate import Accelerator
from train_specs import learner_of, model_alone, noise, student, training_of
from turns import Times, arguments, in_turns, keep, quotients, report, spread

from synthgap.training.checkpointing import EpochProgress

TARGET = 0.85
TRAINING = training_of()


def measure(steps: int, rounds: int) -> Times:
    """Seconds of a round of the whole step, of the model alone and of the input alone."""
    accelerator, images = Accelerator(cpu=True), noise(4096, 32, num_classes=10)
    whole, alone = (
        learner_of(student("resnet18", 10, seed=0), images, TRAINING, accelerator, steps=steps)
        for _ in range(2)
    )
    _, (batch,) = next(iter(alone.train_step.loader.steps(1, after=0)))
    return in_turns(
        {
            "whole": lambda: whole.epoch(1, EpochProgress(), None),
            "model": model_alone(alone, batch, steps=steps),
            "input": lambda: list(whole.train_step.loader.steps(1, after=0)),
        },
        rounds,
    )


def main() -> None:
    """Measure, print, keep."""
    given = arguments(__doc__, rounds=7, threads=2).parse_args()
    torch.set_num_threads(given.threads)
    steps, rounds = (3, 2) if given.quick else (10, given.rounds)
    times = measure(steps, rounds)
    ratio = quotients(times["model"], times["whole"])
    shares = {name: quotients(times[name], times["whole"])["median"] for name in ("model", "input")}
    shares["rest"] = 1 - sum(shares.values())
    rates = {
        name: spread([TRAINING.batch_size * steps / seconds for seconds in values])
        for name, values in times.items()
    }
    print({name: round(rate["median"]) for name, rate in rates.items()}, "images/s")
    print("shares of a whole step:", {name: round(share, 3) for name, share in shares.items()})
    report(
        "whole step over model alone", ratio, f"at least {TARGET}", met=ratio["median"] >= TARGET
    )
    found = {"images_per_s": rates, "ratio": ratio, "shares_of_whole": shares, "seconds": times}
    what = "ResNet-18, 32 px, 1x32 + 8x16, batch 64, full colour"
    keep(given, {"what": what, **found, "target": {"at_least": TARGET}, "steps_a_round": steps})


if __name__ == "__main__":
    main()
