"""What the gate expects of each image set, as plain data: one `ExpectationRule` is one expectation.

`test` is held to its columns, its labels' range and set, its pixels and its copies; nothing else
looks at its labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from synthgap.params.sections import Data, SetName, Validate
from synthgap.validation.fidelity import MeasuredFidelity
from synthgap.validation.frames import CHANNELS, NEEDED, GateFrame
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
class ExpectationRule:
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
class GateReference:
    """What sets are compared with: limits, stored size, the train set, the near-copy distance.

    `measured` is what stage `fidelity` found, None where nothing of it is limited.
    """

    limits: Validate
    data: Data
    train: GateFrame
    threshold: float
    measured: MeasuredFidelity | None


def rules(
    gated: GateFrame, standard: GateReference, *, apart_from: Sequence[str]
) -> list[ExpectationRule]:
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
        found += [*_origin(gated), *_name_agrees(gated), *_fidelity(gated, standard)]
    return [*found, *_copies(gated, standard, apart_from)]


def _columns(types: Mapping[str, str]) -> Iterator[ExpectationRule]:
    for column in types:
        yield ExpectationRule(f"the manifest has the column `{column}`", "exists", column)


def _types(gated: GateFrame, types: Mapping[str, str]) -> Iterator[ExpectationRule]:
    for column, kind in types.items():
        if column in gated.frame:
            yield ExpectationRule(f"`{column}` is never empty", "not_null", column)
            yield ExpectationRule(f"`{column}` is {kind}", "type", column, {"type_": kind})


def _files(gated: GateFrame, data: Data) -> Iterator[ExpectationRule]:
    yield ExpectationRule(f"the set is {gated.kind}", "in_set", "kind", {"value_set": [gated.kind]})
    yield ExpectationRule("paths are unique", "unique", "path")
    yield ExpectationRule("every file exists", "in_set", "exists", _TRUE)
    yield ExpectationRule("files have the sha256 of the manifest", "in_set", "unchanged", _TRUE)
    yield ExpectationRule("files are readable images", "in_set", "readable", _TRUE)
    modes = ["RGB"] if data.encoding == "png" else ["CMYK", "L", "LA", "P", "RGB", "RGBA", "YCbCr"]
    yield ExpectationRule(
        f"images have mode {', '.join(modes)}", "in_set", "mode", {"value_set": modes}
    )
    if data.encoding == "png" or gated.kind == "synthetic":
        for side in ("width", "height"):
            size = (
                data.image_size if gated.kind == "real" else int(gated.frame[side].mode().iloc[0])
            )
            limits = {"min_value": size, "max_value": size}
            yield ExpectationRule(f"images are {size} px in {side}", "between", side, limits)


def _labels(gated: GateFrame, standard: GateReference) -> Iterator[ExpectationRule]:
    last = len(standard.train.classes) - 1
    limits = {"min_value": 0, "max_value": last}
    yield ExpectationRule(f"labels are 0 to {last}", "between", "label", limits)
    yield _every_class(standard)
    yield ExpectationRule("labels mean what they mean in train", "in_set", "class_is_trains", _TRUE)
    yield ExpectationRule("labels agree with folders", "in_set", "label_is_folder", _TRUE)
    if gated.name != "test":
        ratio = standard.limits.max_class_imbalance
        least = float(gated.frame["images_of_class"].max()) / ratio
        text = f"no class has less than 1/{ratio:g} of the largest one's images"
        yield ExpectationRule(text, "between", "images_of_class", {"min_value": round(least, 3)})


def _pixels(gated: GateFrame, standard: GateReference) -> Iterator[ExpectationRule]:
    limits = standard.limits
    least = limits.min_pixel_std
    yield ExpectationRule(
        f"images are not blank (pixel std from {least:g})",
        "between",
        "pixel_std",
        {"min_value": least},
    )
    if gated is standard.train or not len(standard.train.readable_rows):
        return
    for channel in CHANNELS:
        mean = float(standard.train.frame[f"{channel}_mean"].mean())
        shift, ratio = limits.max_channel_mean_shift, limits.max_channel_std_ratio
        text = f"{channel} has a mean within {shift:g} of train's {mean:.1f}"
        yield ExpectationRule(text, "mean", f"{channel}_mean", _span(mean - shift, mean + shift))
        std = float(standard.train.frame[f"{channel}_std"].mean())
        text = f"{channel} has a contrast within a factor {ratio:g} of train's {std:.1f}"
        yield ExpectationRule(text, "mean", f"{channel}_std", _span(std / ratio, std * ratio))


def _types_of(gated: GateFrame) -> dict[str, str]:
    """Columns of a synthetic set: without a prompt, guidance or steps, these columns are absent."""
    name = SetName.parse(gated.name)
    absent = set() if gated.prompted else {"prompt"}
    if name is not None and name.guidance_scale is None:
        absent |= {"guidance_scale", "steps"}
    return {column: kind for column, kind in SYNTHETIC_TYPES.items() if column not in absent}


def _origin(gated: GateFrame) -> Iterator[ExpectationRule]:
    frame = gated.frame
    if "prompt" in frame and gated.prompted:
        yield ExpectationRule("prompts are not blank", "between", "prompt_words", {"min_value": 1})
        if gated.names_class:
            yield ExpectationRule("prompts name the class", "in_set", "prompt_names_class", _TRUE)
    if "seed" in frame:
        yield ExpectationRule("seeds are unique", "unique", "seed")
    for column in ("steps", "generator_digest"):
        if column in frame and frame[column].notna().any():
            common = frame[column].mode().iloc[0]
            common = common if isinstance(common, str) else int(common)
            text = f"`{column}` is the same for every image"
            yield ExpectationRule(text, "in_set", column, {"value_set": [common]})


def _name_agrees(gated: GateFrame) -> Iterator[ExpectationRule]:
    """The set is what its name says."""
    name, frame = SetName.parse(gated.name), gated.frame
    if name is None:  # an oracle: one scale, whichever
        scale = frame["guidance_scale"].iloc[0] if "guidance_scale" in frame else None
        expected: dict[str, float | str | None] = {"guidance_scale": scale}
    else:
        expected = {
            "guidance_scale": name.guidance_scale,
            "scheme": name.scheme,
            "steps": name.steps,
        }
        expected |= {"generator": name.rival}
    for column, value in expected.items():
        if value is None or column not in frame:
            continue
        plain = value if isinstance(value, str) else float(value)
        formatted = plain if isinstance(plain, str) else f"{plain:g}"
        called = "the guidance scale" if column == "guidance_scale" else f"`{column}`"
        text = f"{called} is {formatted}"
        yield ExpectationRule(text, "in_set", column, {"value_set": [plain]})


def _fidelity(gated: GateFrame, standard: GateReference) -> Iterator[ExpectationRule]:
    """Limits of the whole set: a column that holds its number in every row."""
    if standard.measured is not None:
        for limit in standard.measured.expected_of(gated):
            yield ExpectationRule(
                limit.text, "mean", limit.column, limit.options, examples=limit.worst
            )


def _copies(
    gated: GateFrame, standard: GateReference, apart_from: Sequence[str]
) -> Iterator[ExpectationRule]:
    for name in (WITHIN, *apart_from):
        share = _copy_share(gated, name, standard.limits)
        where = "in the set" if name == WITHIN else f"of {name}"
        yield ExpectationRule(
            f"images are not exact copies {where}",
            "null",
            f"same_pixels_in_{name}",
            share=share,
            partner=f"same_pixels_in_{name}",
            other=name,
        )
        yield ExpectationRule(
            f"images are not near-copies {where} (distance above {standard.threshold:g})",
            "between",
            f"distance_to_{name}",
            {"min_value": standard.threshold, "strict_min": True},
            share=share,
            partner=f"closest_in_{name}",
            other=name,
        )


def _copy_share(gated: GateFrame, name: str, limits: Validate) -> float:
    if gated.kind == "real":
        return limits.max_real_copy_share
    if name == WITHIN:
        return limits.max_synthetic_duplicate_share
    if gated.name == ORACLE and name == PROMPTS:
        return 1.0  # near-copies of its prompts are the point: counted, not failed
    return limits.max_memorised_share if name == "corpus" else limits.max_leaked_share


def _every_class(standard: GateReference) -> ExpectationRule:
    classes = list(range(len(standard.train.classes)))
    return ExpectationRule(
        "every class of train is there", "holds", "label", {"value_set": classes}
    )


def _may_be_empty(name: str, data: Data) -> bool:
    return {"corpus": data.splits.corpus, "val": data.splits.val}.get(name) == "none"


def _span(low: float, high: float) -> dict[str, float]:
    return {"min_value": round(low, 3), "max_value": round(high, 3)}
