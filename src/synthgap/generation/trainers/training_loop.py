"""The loop of every training here: it yields the loss, and goes on exactly where it was killed.

Randomness needs no state: every draw is named after seed, phase and step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from synthgap.errors import GeneratorError
from synthgap.jobs import write_state
from synthgap.jobs.progress import Progress, log_line

if TYPE_CHECKING:
    from accelerate import Accelerator

WARM_UP = 0.1  # share of the steps
RECORD_EVERY = 50
MAX_GRADIENT_NORM = 1.0
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class OptimConfig:
    """How one phase learns: AdamW, linear warm-up then cosine to 0; `ema_decay` 0 keeps no mean."""

    name: str  # its section in params.yaml, e.g. generator.autoencoder
    steps: int
    learning_rate: float
    ema_decay: float
    checkpoint: Path
    checkpoint_every_steps: int

    def learning_rate_at(self, step: int) -> float:
        """Of step 0 .. steps - 1."""
        warm = max(1, round(WARM_UP * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        share = (step - warm) / max(1, self.steps - warm)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


class LossRecord(NamedTuple):
    """The mean loss of the last steps; `again` says that an earlier process computed it."""

    step: int  # steps done
    loss: float
    again: bool = False


@dataclass
class _State:
    """All that a checkpoint holds; `pending` are the losses since the last record."""

    network: nn.Module
    optimizer: Any
    average: list[Tensor]
    step: int = 0
    records: list[LossRecord] = field(default_factory=list)
    pending: list[float] = field(default_factory=list)


def phase(
    config: OptimConfig,
    network: nn.Module,
    loss_at: Callable[[int], Tensor],
    accelerator: Accelerator,
) -> Iterator[dict[str, float]]:
    """Learn, yielding losses by step as run.json keeps them, and telling how far it is.

    `loss_at` gives the loss of a step, a scalar with graph.

    Raises:
        GeneratorError: the loss is not finite.
    """
    progress = Progress(config.name, config.steps, "steps")
    short = config.name.rpartition(".")[2]
    for record in train_phase(config, network, loss_at, accelerator):
        if record.again:
            progress.done = record.step
        else:
            progress.advance(record.step - progress.done, f", loss {record.loss:.4f}")
        yield {"epoch": record.step, f"{short}/loss": record.loss}


def train_phase(
    config: OptimConfig,
    network: nn.Module,
    loss_at: Callable[[int], Tensor],
    accelerator: Accelerator,
) -> Iterator[LossRecord]:
    """Train `network` in place, yielding the mean loss of every 50 steps.

    What a killed run had yielded is yielded again. At the end `network` holds the moving average
    of its weights, where one is kept.

    `loss_at` gives the loss of a step, a scalar with graph.

    Raises:
        GeneratorError: the loss is not finite.
    """
    network.to(accelerator.device).train()
    weights = list(network.parameters())
    optimizer = torch.optim.AdamW(weights, weight_decay=WEIGHT_DECAY, fused=True)
    average = [weight.detach().clone() for weight in weights] if config.ema_decay else []
    state = _State(network, accelerator.prepare(optimizer), average)
    _restore(state, config)
    yield from state.records
    while state.step < config.steps:
        state.pending.append(_take_step(state, config, loss_at, accelerator))
        ended = state.step == config.steps
        if ended or state.step % RECORD_EVERY == 0:
            mean = math.fsum(state.pending) / len(state.pending)
            state.records.append(LossRecord(state.step, mean))
            state.pending.clear()
            yield state.records[-1]
        if ended or state.step % config.checkpoint_every_steps == 0:
            _keep(state, config)
    with torch.no_grad():
        for weight, mean_weight in zip(weights, state.average, strict=bool(state.average)):
            weight.copy_(mean_weight)
    network.eval().requires_grad_(requires_grad=False)


def _take_step(
    state: _State, config: OptimConfig, loss_at: Callable[[int], Tensor], accelerator: Accelerator
) -> float:
    for group in state.optimizer.param_groups:
        group["lr"] = config.learning_rate_at(state.step)
    with accelerator.autocast():
        loss = loss_at(state.step)
    value = loss.item()
    if not math.isfinite(value):
        raise GeneratorError(
            f"{config.name}: loss {value} at step {state.step}; expected a finite one, lower "
            f"{config.name}.learning_rate ({config.learning_rate:g}) and rerun"
        )
    weights = list(state.network.parameters())
    state.optimizer.zero_grad()
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(weights, MAX_GRADIENT_NORM)
    state.optimizer.step()
    # Early steps weigh more, else the mean remembers the random start.
    decay = min(config.ema_decay, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for mean_weight, weight in zip(state.average, weights, strict=bool(state.average)):
            mean_weight.lerp_(weight, 1 - decay)
    state.step += 1
    return value


def _keep(state: _State, config: OptimConfig) -> None:
    write_state(
        config.checkpoint,
        {
            "network": state.network.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "average": state.average,
            "step": state.step,
            "records": [(record.step, record.loss) for record in state.records],
            "pending": state.pending,
        },
    )


def _restore(state: _State, config: OptimConfig) -> None:
    if not config.checkpoint.is_file():
        return
    kept = torch.load(config.checkpoint, map_location="cpu", weights_only=True)
    state.network.load_state_dict(kept["network"])
    state.optimizer.load_state_dict(kept["optimizer"])
    for mean_weight, kept_weight in zip(state.average, kept["average"], strict=True):
        mean_weight.copy_(kept_weight)
    state.step = kept["step"]
    state.records = [LossRecord(step, loss, again=True) for step, loss in kept["records"]]
    state.pending = list(kept["pending"])
    log_line(f"{config.name}: goes on after step {state.step} of {config.steps}")
