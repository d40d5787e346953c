"""Trainings of models that make or judge images: how their runs are recorded and logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from synthgap.jobs import Artifacts, Log, content_digest, environment
from synthgap.params.sections import Runtime

Epochs = list[dict[str, float]]


def record(
    stage: str,
    artifacts: Artifacts,
    *,
    inputs: Mapping[str, str],
    params: Mapping[str, Any],
    machine: Mapping[str, str | int],
) -> dict[str, Any]:
    """All that determines a training's bytes, as its run.json begins."""
    return {
        "schema": 1,
        "experiment": stage,
        "recipe": artifacts.recipe,
        "inputs": dict(inputs),
        "environment": dict(machine),
        "params": dict(params),
        "units": [],
    }


def machine_of(runtime: Runtime, threads: int) -> dict[str, str | int]:
    """What determines the last bits besides inputs and parameters."""
    from synthgap.jobs.device import device_name, device_of

    return environment(threads=threads, device=device_name(device_of(runtime)))


def run_of(kept: Mapping[str, Any], *, num_images: int, num_steps: int) -> dict[str, Any]:
    """The one run of a record, still without its epochs."""
    return {
        "digest": content_digest(kept),
        "name": f"{kept['experiment']} {kept['recipe']}",
        "experiment": kept["experiment"],
        "recipe": kept["recipe"],
        "seed": kept["params"]["seed"],
        "num_images": num_images,
        "num_steps": num_steps,
    }


def run_logged(
    run: Mapping[str, Any],
    kept: Mapping[str, Any],
    epochs: Iterable[dict[str, float]],
    log: Log,
) -> Epochs:
    """Exhaust a training; log its start, every epoch and its end."""
    done: Epochs = []
    start = {"run": dict(run), "inputs": kept["inputs"], "params": kept["params"]}
    log(run["digest"], {"event": "start", **start})
    try:
        for epoch in epochs:
            done.append(epoch)
            log(run["digest"], {"event": "epoch", "metrics": epoch})
    except BaseException:
        log(run["digest"], {"event": "end", "status": "FAILED"})
        raise
    log(run["digest"], {"event": "end", "status": "FINISHED"})
    return done
