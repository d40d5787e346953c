"""How a study's keys, values and metrics are called to the reader."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from synthgap.reporting.formats import DASH, number

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
LAMBDA = "\N{GREEK SMALL LETTER LAMDA}"
WORDS = {
    "guide.image_set.guidance_scale": "guidance scale",
    "guide.image_set.scheme": "prompt scheme",
    "guide.image_set.steps": "sampling steps",
    "guide.image_set.rival": "generator",
    "guide.image_set.factor": "size of the synthetic set",
    "guide.image_set": "synthetic set",
    "guide.augmentation": "augmentation",
    "guide.real_share": "real share of a step",
    "guide.epochs": "epochs",
    "guide.pg.distance": "PG distance",
    "guide.pg.similarity": "PG similarity",
    "guide.pg.temperature": "PG temperature",
    "guide.pg.tap": "PG tap",
    "guide.rg.projection": "RG projection",
    "guide.prefix.depth": "depth N",
    "guide.prefix.adaptation_share": "epochs' share for real images",
    "training.base_lr": "learning rate",
    "training.batch_size": "batch size",
    "training.weight_decay": "weight decay",
    "training.momentum": "momentum",
    "training.optimizer": "optimiser",
    "training.epochs": "epochs",
    "training.local_crops.count": "local crops",
    "training.local_crops.scale.0": "smallest local crop",
    "training.local_crops.scale.1": "largest local crop",
    "training.local_crops.jitter": "jitter of local crops",
    "training.global_crops.count": "global crops",
    "training.global_crops.scale.0": "smallest global crop",
    "training.global_crops.scale.1": "largest global crop",
    "training.global_crops.jitter": "jitter of global crops",
}
WEIGHT = re.compile(r"guide\.[\w-]+\.lambda_(\d)(?:\.(\w+))?$")
LABELS = re.compile(r"protocols\..+\.real_per_class$")
METRICS: Mapping[str, tuple[str, str, int]] = {  # name, unit, digits
    "val/top1": ("val accuracy", "%", 1),
    "val/balanced": ("val balanced accuracy", "%", 1),
    "val/loss": ("val loss", "nats", 3),
    "val/ece": ("val calibration error", "pp", 1),
    "real_labels": ("real labels", "", 0),
    "holdout": ("synthetic hold-out accuracy", "%", 1),
    "agreement": ("agreement", "%", 1),
    "clip_score": ("CLIP score", "", 3),
}
NAME_WIDTH = 14  # characters of a line of an axis' name
KEY_WIDTH = 28  # characters of a key without words
MAX_SETTINGS = 5  # settings that a sentence names


def key_name(key: str) -> str:
    """`guidance scale`, `λ₁`, `λ₃ (kl)`; a key without words is shown as it is."""
    weight = WEIGHT.match(key)
    if weight:
        symbol = LAMBDA + weight[1].translate(SUBSCRIPTS)
        return f"{symbol} ({weight[2]})" if weight[2] else symbol
    if LABELS.match(key):
        return "real images a class"
    return WORDS.get(key, key)


def key_names(keys: Sequence[str]) -> dict[str, str]:
    """A name for each key; keys that would share one are shown themselves, long ones cut."""
    named = {key: key_name(key) for key in keys}
    names = list(named.values())
    single = {key: key if names.count(name) > 1 else name for key, name in named.items()}
    cut = {key: _cut(name) if name == key else name for key, name in single.items()}
    ends = list(cut.values())
    return {key: single[key] if ends.count(name) > 1 else name for key, name in cut.items()}


def _cut(key: str) -> str:
    return key if len(key) <= KEY_WIDTH else f"\N{HORIZONTAL ELLIPSIS}{key[1 - KEY_WIDTH :]}"


def wrapped(name: str, width: int = NAME_WIDTH) -> str:
    """A name in short lines; a key breaks at its dots and underscores."""
    loose = name if " " in name else re.sub(r"([._])", r"\1 ", name)
    lines = wrap(loose, width, break_long_words=True)
    return "\n".join(lines if " " in name else [line.replace(" ", "") for line in lines])


def value_name(setting: object) -> str:
    """A tuned value as params.yaml has it, numbers short."""
    if isinstance(setting, bool):
        return str(setting).lower()
    if isinstance(setting, float):
        return f"{setting:.3g}" if abs(setting) < 1000 else f"{setting:g}"
    if isinstance(setting, list | tuple):
        return ", ".join(map(value_name, setting))
    return "null" if setting is None else str(setting)


def metric_format(metric: str) -> tuple[str, str, int]:
    """A metric's name, unit and digits; an unknown one has its key as name."""
    return METRICS.get(metric, (metric, "", 3))


def metric_name(metric: str) -> str:
    """`val accuracy (%)`: with its unit."""
    name, unit, _ = metric_format(metric)
    return f"{name} ({unit})" if unit else name


def metric_word(metric: str) -> str:
    """`val accuracy`: inside a sentence."""
    return metric_format(metric)[0]


def score(metric: str, reached: float | None, *, unit: bool = False) -> str:
    """A metric's value with its digits; a dash where there is none."""
    if reached is None:
        return DASH
    _, mark, digits = metric_format(metric)
    return f"{number(reached, digits)} {mark}" if unit and mark else number(reached, digits)


def score_spread(metric: str, estimate: Mapping[str, Any], *, unit: bool = True) -> str:
    """`86.1 ± 0.4 % (n=3)`, or `86.1 % (single run)`; a count that never varies is exact."""
    _, mark, digits = metric_format(metric)
    behind = f" {mark}" if unit and mark else ""
    mean = number(estimate["mean"], digits)
    if digits == 0 and estimate["std"] == 0:
        return mean
    if estimate["n"] == 1:
        return f"{mean}{behind} (single run)"
    std = number(estimate["std"], digits)
    return f"{mean} \N{PLUS-MINUS SIGN} {std}{behind} (n={estimate['n']})"


def tuned_names(
    tuned: Mapping[str, object], than: Mapping[str, object], order: Sequence[str]
) -> str:
    """What differs from other values, as `guidance scale 1, λ₁ 0.4`; the first few in an order."""
    names = key_names(order)
    settings = [
        f"{names[key]} {value_name(tuned[key])}"
        for key in order
        if key in tuned and (key not in than or than[key] != tuned[key])
    ]
    more = len(settings) - MAX_SETTINGS
    return ", ".join(settings[:MAX_SETTINGS]) + (f" and {more} more" if more > 0 else "")
