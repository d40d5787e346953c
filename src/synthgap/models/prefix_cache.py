"""A frozen prefix costs once: run the rest of a student on remembered activations.

Below the cut the student's own forward still runs, but every module there answers at once: the
one at the cut with the activations, those before it with NaN of the right shape. So whatever a
family does between its modules stays as it is, and nothing that was left out can pass unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

PROBE_BATCH = 2  # different images: a first dimension that is not the batch shows


@dataclass(frozen=True)
class PrefixCache:
    """A student whose first modules are frozen, and where the remembered part ends."""

    model: nn.Module
    calls: tuple[
        _ModuleCall, ...
    ]  # of frozen and parameterless modules, in order; the last is the cut
    image: tuple[int, ...]  # (3, height, width)

    @classmethod
    def of(cls, model: nn.Module, images: Tensor) -> Self | None:
        """The latest cut that changes no logit of `images` (batch, 3, height, width), normalised.

        None where nothing is the same every time: nothing is frozen, or batch norm goes on
        absorbing statistics (`frozen_bn_stats: update`). A replay holds for one image size.
        """
        if not getattr(model, "frozen_modules", ()):
            return None
        example = torch.stack([images[0], -images[0]])
        with _eval_mode(model):
            calls = _calls_before_learning(model, example)
            with torch.no_grad():
                wanted = model(example)
            for end in range(len(calls), 0, -1):
                replay = cls(model, calls[:end], tuple(example.shape[1:]))
                if replay._holds(example, wanted):
                    return replay
        return None

    @torch.no_grad()
    def remember(self, images: Tensor) -> Tensor:
        """Activations at the cut, (batch, ...), of normalised images; what follows is not run."""
        cut = self.calls[-1]
        waiting = sum(call.name == cut.name for call in self.calls)

        def stop(_module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            nonlocal waiting
            waiting -= _takes_tensor(arguments)
            if not waiting:
                raise _StopForward(output)

        handle = self.model.get_submodule(cut.name).register_forward_hook(stop)
        try:
            with _eval_mode(self.model):
                self.model(images)
        except _StopForward as reached:
            return reached.activations
        finally:
            handle.remove()
        raise AssertionError(f"{cut.name} did not run")

    @contextmanager
    def recalling(self, activations: Tensor) -> Iterator[Tensor]:
        """For one pass of the model, or of what wraps it, over the yielded placeholder images.

        The pass answers as it would for the images of which `activations` were remembered, and
        gradients reach what is not frozen.

        `activations`: (batch, ...), one row an image; the images are (batch, 3, height, width).
        """
        waiting = iter(self.calls)

        def stand_in(truly: Callable[..., Any]) -> Callable[..., Any]:
            def forward(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as any module
                call = next(waiting, None) if _takes_tensor(arguments) else None
                if call is None:
                    return truly(*arguments, **named)
                if call is self.calls[-1]:
                    return activations.clone()  # what follows may work in place
                return call.blank(len(activations))

            return forward

        modules = dict.fromkeys(self.model.get_submodule(call.name) for call in self.calls)
        for module in modules:
            module.forward = stand_in(module.forward)
        try:
            blank = torch.full((), torch.nan, device=activations.device)
            yield blank.expand(len(activations), *self.image)
        finally:
            for module in modules:
                del module.forward

    def forward(self, activations: Tensor) -> Tensor:
        """Logits (batch, num_classes) from remembered activations, in the model's present mode."""
        with self.recalling(activations) as placeholder:
            logits: Tensor = self.model(placeholder)
        return logits

    def _holds(self, example: Tensor, wanted: Tensor) -> bool:
        """Whether the cut is one tensor of samples through which all that was skipped acts."""
        cut = self.calls[-1].output
        if not isinstance(cut, Tensor) or cut.shape[:1] != (PROBE_BATCH,):
            return False
        try:
            with torch.no_grad():
                found = self.forward(self.remember(example))
        except (RuntimeError, ValueError):  # what the family does between modules refuses blanks
            return False
        return torch.allclose(found, wanted, rtol=1e-3, atol=1e-4)


@dataclass(frozen=True)
class _ModuleCall:
    """One call of a module, and what it gave for PROBE_BATCH images (without their values)."""

    name: str
    output: Any

    def blank(self, batch: int) -> Any:  # noqa: ANN401 - whatever a module returns
        return _blank(self.output, batch)


class _StopForward(Exception):  # noqa: N818 - not an error: the way out of a model at the cut
    def __init__(self, activations: Tensor) -> None:
        super().__init__()
        self.activations = activations


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _calls_before_learning(model: nn.Module, example: Tensor) -> tuple[_ModuleCall, ...]:
    """Calls of frozen and parameterless modules until something that learns or draws is reached."""
    calls: list[_ModuleCall] = []
    learning = False

    def reached(_module: nn.Module, _arguments: tuple[Any, ...]) -> None:
        nonlocal learning
        learning = True

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
            nonlocal learning
            # a learning parameter of no module's own, like a token, shows in the graph
            learning = learning or _requires_grad(output)
            if not learning and _takes_tensor(arguments):
                calls.append(_ModuleCall(name, _blank(output, PROBE_BATCH)))

        return hook

    handles = []
    parts = {model.get_submodule(name): (name, kind) for name, kind in _parts(model)}
    for module, (name, kind) in parts.items():  # a module may have two names
        stops = kind == "learning" or (kind == "bare" and _has_dropout(module))
        handles.append(
            module.register_forward_pre_hook(reached)
            if stops
            else module.register_forward_hook(note(name))
        )
    try:
        with torch.enable_grad():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(calls)


def _parts(
    model: nn.Module, prefix: str = "", frozen: frozenset[str] | None = None
) -> Iterator[tuple[str, Literal["frozen", "learning", "bare"]]]:
    """The largest modules that are frozen, learn as a whole, or hold no state at all."""
    names = frozenset(model.frozen_modules) if frozen is None else frozen  # type: ignore[arg-type] # FrozenPrefix's
    for name, child in model.named_children():
        full = f"{prefix}{name}"
        if full in names:
            yield full, "frozen"
        elif not child.state_dict():
            yield full, "bare"
        elif isinstance(child, nn.ModuleList) or any(one.startswith(f"{full}.") for one in names):
            yield from _parts(child, f"{full}.", names)
        else:
            yield full, "learning"


def _has_dropout(module: nn.Module) -> bool:
    """Whether dropout of any kind (timm's have `drop_prob` or `prob`) is at work in it."""
    chances = ("p", "drop_prob", "prob")
    return any(
        "drop" in type(inner).__name__.lower() and getattr(inner, chance, 0.0)
        for inner in module.modules()
        for chance in chances
    )


def _takes_tensor(arguments: tuple[Any, ...]) -> bool:
    """Whether a call depends on the images at all; a table of positions, say, does not."""
    return any(isinstance(argument, Tensor) for argument in arguments)


def _requires_grad(output: Any) -> bool:  # noqa: ANN401 - whatever a module returns
    if isinstance(output, tuple | list):
        return any(_requires_grad(part) for part in output)
    return isinstance(output, Tensor) and output.requires_grad


def _blank(output: Any, batch: int) -> Any:  # noqa: ANN401 - whatever a module returns
    """NaN in the shape of what a module gave for PROBE_BATCH images; one element's memory."""
    if isinstance(output, tuple | list):
        return type(output)(_blank(part, batch) for part in output)
    if not isinstance(output, Tensor):
        return output
    rows = output.shape[0] * batch // PROBE_BATCH  # windows of an image count as rows of it
    value = torch.nan if output.is_floating_point() else 0
    return output.new_full((), value).expand(rows, *output.shape[1:])
