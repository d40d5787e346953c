"""Which scheduler takes the denoising steps: the pipeline's own, or another one by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from synthgap.errors import GeneratorError
from synthgap.generation.libraries import Pipeline, Scheduler
from synthgap.generation.pipelines.provenance import scheduler_name

SCHEDULERS: Mapping[str, str] = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "dpmsolver++": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_ancestral": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler",
}
PLACE = "params.yaml, synthesize.scheduler"


def scheduler_used(folder: Path, name: str | None) -> str:
    """Class name of the scheduler that samples the pipeline in `folder`; empty if it has none.

    Raises:
        GeneratorError: there is no scheduler of this name.
    """
    return scheduler_name(folder) if name is None else _class_name(name)


def exchange_scheduler(pipeline: Pipeline, name: str | None) -> None:
    """Give the pipeline the named scheduler, with the noise schedule that it was trained with.

    Raises:
        GeneratorError: there is no such scheduler, or it does not suit what the pipeline predicts.
    """
    if name is None:
        return
    own: Scheduler = getattr(pipeline, "scheduler", None)
    wanted = _class_name(name)
    suited = {kind.__name__: kind for kind in getattr(own, "compatibles", ())}
    if wanted not in suited:
        names = [short for short, full in SCHEDULERS.items() if full in suited]
        raise GeneratorError(
            f"{PLACE}: {name}, which does not suit this pipeline ({type(own).__name__}); expected "
            f"null{''.join(f', {one}' for one in names)}"
        )
    with odd_arrays():
        pipeline.scheduler = suited[wanted].from_config(own.config)


@contextmanager
def odd_arrays() -> Iterator[None]:
    """Silence numpy about the way in which some schedulers turn tensors into arrays."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__", category=DeprecationWarning)
        yield


def is_stochastic(scheduler: Scheduler) -> bool:
    """Whether its steps may draw noise: then they are given each image's own generator."""
    from inspect import signature

    return "generator" in signature(scheduler.step).parameters


def _class_name(name: str) -> str:
    if name not in SCHEDULERS:
        raise GeneratorError(
            f"{PLACE}: {name!r}, expected null (the pipeline's own) or one of "
            f"{', '.join(SCHEDULERS)}"
        )
    return SCHEDULERS[name]
