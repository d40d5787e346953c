"""Train steps made of named updates, whose gradients are summed over parts and processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from synthgap.guidance.domains import DomainBatch, domain_batches
from synthgap.models.memory_layout import optimise_layout
from synthgap.training.batch_loader import Batch, BatchLoader
from synthgap.training.checkpointing import TrainState
from synthgap.training.epoch_runner import StepInfo, TrainStepFactory, check_finite, topk_hits
from synthgap.training.optimizer import build_optimizer
from synthgap.training.train_spec import TrainSpec

if TYPE_CHECKING:
    from accelerate import Accelerator

DEFAULT_GRADIENT = "all"  # the name of a gradient where there is one alone
Gradient = list[Tensor]  # one tensor a parameter of the update, in their order


@dataclass(frozen=True)
class LossTerm:
    """A loss (a scalar, with graph) that counts `share` in the gradient of its name.

    What `loss * share` gives is added up over parts and processes. Where `logits` (crops,
    num_classes) and `labels` (crops,) are given, they count for the training's accuracy.
    `replicated`: every process has the same value, of which its own graph holds a part.
    """

    loss: Tensor
    share: float = 1.0
    gradient: str = DEFAULT_GRADIENT
    logits: Tensor | None = None
    labels: Tensor | None = None
    replicated: bool = False


class Update(Protocol):
    """One update of some parameters."""

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """What is updated; the rest has no gradient in this update."""

    def terms(self, pair: DomainBatch) -> Iterator[LossTerm]:
        """Yield losses of one part of a batch; each graph may go once its gradient is taken."""

    def combined(self, gradients: Mapping[str, Gradient]) -> Gradient:
        """What the optimiser follows, of the gradients by name of the whole batch."""


class SummedGradient:
    """An update whose losses are summed in one gradient, which the optimiser follows."""

    def combined(self, gradients: Mapping[str, Gradient]) -> Gradient:
        """Follow it."""
        return gradients[DEFAULT_GRADIENT]


@dataclass(frozen=True)
class MethodNetworks:
    """Networks that a method needs, and what it does with them.

    `networks` holds the student as "student" and every other network, frozen ones too: all are
    kept when a training is killed. `rates` are factors on the learning rate, by a network's name.
    """

    networks: nn.ModuleDict
    updates: Sequence[Update]
    rates: Mapping[str, float] = field(default_factory=dict)


def update_step(
    make: Callable[[nn.Module, TrainSpec, Accelerator], MethodNetworks], num_real: int
) -> TrainStepFactory:
    """Make train steps of a method's updates; images [0, num_real) of the train spec are real."""

    def train_step(model: nn.Module, train_spec: TrainSpec, accelerator: Accelerator) -> UpdateStep:
        optimise_layout(model)
        model.to(accelerator.device)
        method_networks = make(model, train_spec, accelerator)
        method_networks.networks.to(accelerator.device)
        optimizer = _optimizer(method_networks, train_spec, accelerator)
        moving = accelerator.prepare_optimizer(optimizer)
        learning = TrainState(method_networks.networks, optimizer, accelerator)
        loader = BatchLoader.of(model, train_spec, accelerator, remembers=False)
        return UpdateStep(train_spec, learning, moving, loader, method_networks, num_real)

    return train_step


def _optimizer(
    method_networks: MethodNetworks, train_spec: TrainSpec, accelerator: Accelerator
) -> torch.optim.Optimizer:
    """One optimiser over all that learns; groups of a network carry its factor."""
    optimizer = build_optimizer(method_networks.networks, train_spec.training, accelerator.device)
    factors = {
        id(parameter): method_networks.rates.get(name, 1.0)
        for name, network in method_networks.networks.items()
        for parameter in network.parameters()
    }
    for group in list(optimizer.param_groups):
        by_factor: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_factor.setdefault(factors[id(parameter)], []).append(parameter)
        for number, (factor, parameters) in enumerate(by_factor.items()):
            if number == 0:
                group["params"], group["factor"] = parameters, factor
            else:
                rest = {key: value for key, value in group.items() if key != "params"}
                optimizer.add_param_group({**rest, "params": parameters, "factor": factor})
    return optimizer


@dataclass(frozen=True)
class UpdateStep:
    """A `TrainStep` that makes its updates one after the other."""

    train_spec: TrainSpec
    learning: TrainState
    moving: torch.optim.Optimizer  # the optimiser, wrapped by accelerate
    loader: BatchLoader
    method_networks: MethodNetworks
    num_real: int

    def train(self) -> None:
        """Put every network into the mode of training that has something to learn."""
        for network in self.method_networks.networks.values():
            learns = any(parameter.requires_grad for parameter in network.parameters())
            network.train(learns)

    def step(self, parts: Sequence[Batch], now: StepInfo) -> Tensor:
        """The sum of the losses of all updates, hits at 1 and 5, and crops, float64 (4,).

        Raises:
            TrainingError: a loss is not finite; that update changed nothing.
        """
        tally = torch.zeros(4, dtype=torch.float64)
        pairs = domain_batches(parts, self.num_real, now.progress, self.learning.accelerator)
        for update in self.method_networks.updates:
            metrics, gradients = self._gradients(update, pairs)
            check_finite(float(metrics[0]), self.train_spec.name, now)
            tally += metrics
            if update.parameters:
                self._move(update, gradients)
        return tally

    def ended(self) -> None:
        """Give every process the first one's buffers: batches, so statistics, differ."""
        if self.learning.accelerator.num_processes == 1:
            return
        from accelerate.utils import broadcast

        for buffer in self.method_networks.networks.buffers():
            buffer.copy_(broadcast(buffer.detach().clone()))

    def _gradients(
        self, update: Update, pairs: Sequence[DomainBatch]
    ) -> tuple[Tensor, dict[str, Gradient]]:
        """Sums of loss, hits at 1 and 5, and crops, float64 (4,); gradients of all processes."""
        accelerator = self.learning.accelerator
        metrics = torch.zeros(4, dtype=torch.float64, device=accelerator.device)
        found: dict[str, Gradient] = {}
        for term in self._terms(update, pairs):
            loss = term.loss.float() * term.share
            _add_metrics(metrics, term, loss, accelerator.num_processes)
            if update.parameters:
                scaled = loss if accelerator.scaler is None else accelerator.scaler.scale(loss)
                _add(found, term.gradient, _gradient(scaled, update.parameters))
        if accelerator.num_processes > 1:
            metrics[0] = accelerator.reduce(metrics[0])
            found = {name: _reduce_gradient(parts, accelerator) for name, parts in found.items()}
        return metrics.cpu(), found

    def _terms(self, update: Update, pairs: Sequence[DomainBatch]) -> Iterator[LossTerm]:
        """Every loss, computed in the training's precision; gradients are taken outside of it."""
        for pair in pairs:
            terms = update.terms(pair)
            while True:
                with self.learning.accelerator.autocast():
                    term = next(terms, None)
                if term is None:
                    break
                yield term

    def _move(self, update: Update, gradients: Mapping[str, Gradient]) -> None:
        """Let the optimiser follow what the update makes of its gradients; the rest stays."""
        self.moving.zero_grad()
        with torch.no_grad():
            followed = update.combined(gradients)
        for parameter, gradient in zip(update.parameters, followed, strict=True):
            parameter.grad = _in_layout_of(gradient, parameter)
        self.moving.step()
        self.moving.zero_grad()


def _add_metrics(metrics: Tensor, term: LossTerm, loss: Tensor, world: int) -> None:
    """Add to sums of loss, hits at 1 and 5, and crops."""
    metrics[0] += loss.detach() / (world if term.replicated else 1)
    if term.logits is not None and term.labels is not None:
        right, right5 = topk_hits(term.logits.detach(), term.labels)
        metrics[1] += right
        metrics[2] += right5
        metrics[3] += len(term.labels)


def _gradient(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Gradient:
    """Of a loss; zeros where a parameter has no part in it."""
    found: Sequence[Tensor | None] = torch.autograd.grad(loss, list(parameters), allow_unused=True)
    return [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    ]


def _add(found: dict[str, Gradient], name: str, gradient: Gradient) -> None:
    """Add up gradients of one name, in place of the first."""
    if name in found:
        torch._foreach_add_(found[name], gradient)
    else:
        found[name] = gradient


def _reduce_gradient(gradient: Gradient, accelerator: Accelerator) -> Gradient:
    """Add up over processes, in one message."""
    flat = accelerator.reduce(torch.cat([part.reshape(-1) for part in gradient]))
    sizes = [part.numel() for part in gradient]
    return [part.view_as(like) for part, like in zip(flat.split(sizes), gradient, strict=True)]


def _in_layout_of(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in its parameter's memory layout, which fused optimisers take for granted."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
