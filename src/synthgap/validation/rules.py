"""What the gate expects of each image set, as plain data: one `Rule` is one expectation.

`test` is held to its columns, its labels' range and set, its pixels and its copies; nothing else
looks at its labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from synthgap.params.sections import Data, SetName, Validate
from synthgap.validation.fidelity import Measured
from synthgap.validation.frames import CHANNELS, NEEDED, Gated
from synthgap.validation.leakage import WITHIN

Kind = Literal["exists", "type", "not_null", "null", "between", "in_set", "unique", "holds", "mean"]
TYPES = {"path": "str", "label": "int64", "sha256": "str"}
SYNTHETIC_TYPES = {
    "prompt": "str",
    "seed": "int64",
    "guidance_scale": "float64",
    "steps": "int64",
    "generator_digest": "str",
}
ORACLE, PROMPTS = "oracle", "train"  # a synthetic set, and the real one whose images prompt it
_TRUE = {"value_set": [True]}


@dataclass(frozen=True)
class Rule:
    """One expectation on one column; `text` completes the sentence "<set>: ..."."""

    text: str
    kind: Kind
    column: str
    options: Mapping[str, Any] = field(default_factory=dict)
    share: float = 0.0  # of the images that may break it
    partner: str | None = None  # the column that names what an offending image is a copy of
    other: str | None = None  # and the set in which that lies
    examples: tuple[str, ...] | None = None  # named where it breaks; None: the offending images


@dataclass(frozen=True)
class Standard:
    """What sets are compared with: limits, stored size, the train set, the near-copy distance.

    `measured` is what stage `fidelity` found, None where nothing of it is limited.
    """

    limits: Validate
    data: Data
    train: Gated
    threshold: float
    measured: Measured | None


def rules(gated: Gated, standard: Standard, *, apart_from: Sequence[str]) -> list[Rule]:
    """Every expectation of one set, in the order in which a reader wants to hear of failures.

    A set without a needed column is only held to its columns: the rest could not be looked at.
    """
    synthetic = gated.kind == "synthetic"
    types = TYPES | (_types_of(gated) if synthetic else {})
    found = list(_columns(types))
    if not all(column in gated.frame for column in NEEDED):
        return found
    if len(gated.frame) == 0:
        return (
            found if _may_be_empty(gated.name, standard.data) else [*found, _every_class(standard)]
        )
    found += [*_types(gated, types), *_files(gated, standard.data)]
    found += [*_labels(gated, standard), *_pixels(gated, standard)]
    if synthetic:
        found += [*_origin(gated), *_said(gated), *_fidelity(gated, standard)]
    return [*found, *_copies(gated, standard, apart_from)]


def _columns(types: Mapping[str, str]) -> Iterator[Rule]:
    for column in types:
        yield Rule(f"the manifest has the column `{column}`", "exists", column)


def _types(gated: Gated, types: Mapping[str, str]) -> Iterator[Rule]:
    for column, kind in types.items():
        if column in gated.frame:
            yield Rule(f"`{column}` is never empty", "not_null", column)
            yield Rule(f"`{column}` is {kind}", "type", column, {"type_": kind})


def _files(gated: Gated, data: Data) -> Iterator[Rule]:
    yield Rule(f"the set is {gated.kind}", "in_set", "kind", {"value_set": [gated.kind]})
    yield Rule("paths are unique", "unique", "path")
    yield Rule("every file exists", "in_set", "exists", _TRUE)
    yield Rule("files have the sha256 of the manifest", "in_set", "unchanged", _TRUE)
    yield Rule("files are readable images", "in_set", "readable", _TRUE)
    modes = ["RGB"] if data.encoding == "png" else ["CMYK", "L", "LA", "P", "RGB", "RGBA", "YCbCr"]
    yield Rule(f"images have mode {', '.join(modes)}", "in_set", "mode", {"value_set": modes})
    if data.encoding == "png" or gated.kind == "synthetic":
        for side in ("width", "height"):
            size = (
                data.image_size if gated.kind == "real" else int(gated.frame[side].mode().iloc[0])
            )
            limits = {"min_value": size, "max_value": size}
            yield Rule(f"images are {size} px in {side}", "between", side, limits)


def _labels(gated: Gated, standard: Standard) -> Iterator[Rule]:
    last = len(standard.train.classes) - 1
    limits = {"min_value": 0, "max_value": last}
    yield Rule(f"labels are 0 to {last}", "between", "label", limits)
    yield _every_class(standard)
    yield Rule("labels mean what they mean in train", "in_set", "class_is_trains", _TRUE)
    yield Rule("labels agree with folders", "in_set", "label_is_folder", _TRUE)
    if gated.name != "test":
        ratio = standard.limits.max_class_imbalance
        least = float(gated.frame["images_of_class"].max()) / ratio
        text = f"no class has less than 1/{ratio:g} of the largest one's images"
        yield Rule(text, "between", "images_of_class", {"min_value": round(least, 3)})


def _pixels(gated: Gated, standard: Standard) -> Iterator[Rule]:
    limits = standard.limits
    least = limits.min_pixel_std
    yield Rule(
        f"images are not blank (pixel std from {least:g})",
        "between",
        "pixel_std",
        {"min_value": least},
    )
    if gated is standard.train or not len(standard.train.seen):
        return
    for channel in CHANNELS:
        mean = float(standard.train.frame[f"{channel}_mean"].mean())
        shift, ratio = limits.max_channel_mean_shift, limits.max_channel_std_ratio
        text = f"{channel} has a mean within {shift:g} of train's {mean:.1f}"
        yield Rule(text, "mean", f"{channel}_mean", _span(mean - shift, mean + shift))
        std = float(standard.train.frame[f"{channel}_std"].mean())
        text = f"{channel} has a contrast within a factor {ratio:g} of train's {std:.1f}"
        yield Rule(text, "mean", f"{channel}_std", _span(std / ratio, std * ratio))


def _types_of(gated: Gated) -> dict[str, str]:
    """Columns of a synthetic set: without a prompt, guidance or steps, nothing is told of them."""
    name = SetName.parse(gated.name)
    absent = set() if gated.prompted else {"prompt"}
    if name is not None and name.guidance_scale is None:
        absent |= {"guidance_scale", "steps"}
    return {column: kind for column, kind in SYNTHETIC_TYPES.items() if column not in absent}


def _origin(gated: Gated) -> Iterator[Rule]:
    frame = gated.frame
    if "prompt" in frame and gated.prompted:
        yield Rule("prompts are not blank", "between", "prompt_words", {"min_value": 1})
        if gated.names_class:
            yield Rule("prompts name the class", "in_set", "prompt_names_class", _TRUE)
    if "seed" in frame:
        yield Rule("seeds are unique", "unique", "seed")
    for column in ("steps", "generator_digest"):
        if column in frame and frame[column].notna().any():
            common = frame[column].mode().iloc[0]
            common = common if isinstance(common, str) else int(common)
            text = f"`{column}` is the same for every image"
            yield Rule(text, "in_set", column, {"value_set": [common]})


def _said(gated: Gated) -> Iterator[Rule]:
    """The set is what its name says."""
    name, frame = SetName.parse(gated.name), gated.frame
    if name is None:  # an oracle: one scale, whichever
        scale = frame["guidance_scale"].iloc[0] if "guidance_scale" in frame else None
        said: dict[str, float | str | None] = {"guidance_scale": scale}
    else:
        said = {"guidance_scale": name.guidance_scale, "scheme": name.scheme, "steps": name.steps}
        said |= {"generator": name.rival}
    for column, value in said.items():
        if value is None or column not in frame:
            continue
        plain = value if isinstance(value, str) else float(value)
        shown = plain if isinstance(plain, str) else f"{plain:g}"
        called = "the guidance scale" if column == "guidance_scale" else f"`{column}`"
        text = f"{called} is {shown}"
        yield Rule(text, "in_set", column, {"value_set": [plain]})


def _fidelity(gated: Gated, standard: Standard) -> Iterator[Rule]:
    """Limits of the whole set: a column that holds its number in every row."""
    if standard.measured is not None:
        for limit in standard.measured.expected_of(gated):
            yield Rule(limit.text, "mean", limit.column, limit.options, examples=limit.worst)


def _copies(gated: Gated, standard: Standard, apart_from: Sequence[str]) -> Iterator[Rule]:
    for name in (WITHIN, *apart_from):
        share = _copy_share(gated, name, standard.limits)
        where = "in the set" if name == WITHIN else f"of {name}"
        yield Rule(
            f"images are not exact copies {where}",
            "null",
            f"same_pixels_in_{name}",
            share=share,
            partner=f"same_pixels_in_{name}",
            other=name,
        )
        yield Rule(
            f"images are not near-copies {where} (distance above {standard.threshold:g})",
            "between",
            f"distance_to_{name}",
            {"min_value": standard.threshold, "strict_min": True},
            share=share,
            partner=f"closest_in_{name}",
            other=name,
        )


def _copy_share(gated: Gated, name: str, limits: Validate) -> float:
    if gated.kind == "real":
        return limits.max_real_copy_share
    if name == WITHIN:
        return limits.max_synthetic_duplicate_share
    if gated.name == ORACLE and name == PROMPTS:
        return 1.0  # near-copies of its prompts are the point: counted, not failed
    return limits.max_memorised_share if name == "corpus" else limits.max_leaked_share


def _every_class(standard: Standard) -> Rule:
    classes = list(range(len(standard.train.classes)))
    return Rule("every class of train is there", "holds", "label", {"value_set": classes})


def _may_be_empty(name: str, data: Data) -> bool:
    return {"corpus": data.splits.corpus, "val": data.splits.val}.get(name) == "none"


def _span(low: float, high: float) -> dict[str, float]:
    return {"min_value": round(low, 3), "max_value": round(high, 3)}
