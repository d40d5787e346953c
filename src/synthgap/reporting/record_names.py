"""Find records by their fields, group them by the generator's setting, and name what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from synthgap.params.synthesis import SetName

Record = Mapping[str, Any]
SERIES_KEYS = (
    *("experiment", "set", "donor_set", "direction", "arm", "depth", "fraction"),
    *("ablation", "variant", "protocol", "method", "init"),
)


def select(records: Iterable[Record], **place: str | float | None) -> list[Record]:
    """Records whose fields equal `place`, in their order."""
    return [row for row in records if all(row[name] == value for name, value in place.items())]


def top1(records: Iterable[Record]) -> list[Record]:
    """Test top-1 over seeds: one record a series."""
    return select(records, metric="test/top1", over="seeds")


def find_one(records: Iterable[Record], **place: str | float | None) -> Record | None:
    """The first record at a place, if there is one."""
    return next(iter(select(records, **place)), None)


def companion(records: Iterable[Record], row: Record, metric: str) -> Record | None:
    """Another number of the same series over seeds."""
    place = {name: row[name] for name in SERIES_KEYS}
    return find_one((other for other in records if other["seed"] is None), **place, metric=metric)


DIRECTIONS = ("synthetic->real", "real->synthetic", "real->real", "synthetic->synthetic")
CONTROL_OF = {
    "synthetic->real": "real->real",
    "real->synthetic": "synthetic->synthetic",
}
SET_NAMES = {
    "train": "real",
    "corpus": "corpus (what the generator saw)",
    "oracle": "synthetic, prompted by real images",
}
VARIANT_NAMES = {
    "base": "as everywhere else",
    "plain": "as they are",
    "text": "prompted by class names",
    "imagenet": "ImageNet's statistics",
    "train_set": "statistics of the training images",
    "fed_set": "each set's own exact statistics",
    "batch_stats": "batch norm in train mode",
    "none": "no augmentation",
    "pytorch": "random resized crop and flip",
    "autoaugment": "AutoAugment",
    "augmix": "AugMix",
    "pixmix": "PixMix",
    "dino": "DINO multi-crop",
    "stylised": "stylised",
    "oracle": "prompted by real images",
    "sd14": "text prompts, an older generator",
    "labels": "labels alone",
    "embeddings": "distance to embeddings alone",
    "both": "labels and distance to embeddings",
    "random": "at random",
    "stratified": "stratified by class",
    "uncertainty": "least certain first",
    "coreset": "a coreset",
    "low_loss": "lowest loss",
    "high_loss": "highest loss",
}


SCHEME_NAMES = {
    "template": "name in a sentence",
    "name": "name",
    "hypernym": "name, hypernym",
    "definition": "name, definition",
    "background": "name, hypernym inside a scene",
    "templates": "many sentences",
    "captions": "captions",
}
STYLISED_SUFFIX = "-stylised"
METHOD_NAMES = {  # in the order of PG/RG's Tables 2 and 4, what they do not have after that
    "real": "these real images alone",
    "bound": "all real labels (bound)",
    "synthetic": "synthetic images alone",
    "adaptation": "adaptation in two stages",
    "pooled": "pooling (augmentation)",
    "balanced": "pooling, steps balanced",
    "prefix": "frozen synthetic prefix (MtG)",
    "adda": "ADDA",
    "dada": "DADA",
    "dann": "DANN",
    "ltda": "LTDA",
    "a-gem": "A-GEM",
    "asg": "ASG, first stage",
    "csg": "CSG",
    "pg-l1": "PG-F (L1)",
    "pg-kl": "PG-F (KL)",
    "pg-r": "PG-R",
    "pg-f": "PG-F",
    "pg": "PG-R + PG-F",
    "rg": "RG",
    "rg-pg-r": "RG + PG-R",
    "rg-pg-f": "RG + PG-F",
    "rg-pg": "RG + PG-R + PG-F",
}
INIT_NAMES = {
    "random": "random weights",
    "reference": "weights of a self-supervised reference network",
    "pretrained": "pretrained weights",
}


def arrow(direction: str) -> str:
    """`synthetic->real` with a real arrow."""
    return direction.replace("->", " \N{RIGHTWARDS ARROW} ")


def set_name(name: str) -> str:
    """What an image set's name means: `train`, `corpus`, `g2.0`, `g2.0-stylised`, `train+g2.0`."""
    if "+" in name:
        return " and ".join(set_name(part) for part in name.split("+"))
    base = name.removesuffix(STYLISED_SUFFIX)
    made = "" if base == name else f", {STYLISED_SUFFIX[1:]}"
    named = SetName.parse(base)
    if base in SET_NAMES or named is None:
        return f"{SET_NAMES.get(base, base)}{made}"
    return f"synthetic, {', '.join(_setting_parts(named))}{made}"


def _setting_parts(named: SetName) -> Iterator[str]:
    if named.rival is not None:
        yield f"by {named.rival}"
    if named.guidance_scale is not None:
        yield f"guidance {named.guidance_scale:g}"
    if named.scheme is not None:
        yield f"prompts: {scheme_name(named.scheme)}"
    if named.steps is not None:
        yield f"{named.steps} steps"
    if named.factor is not None:
        yield f"{named.factor:g} times as many"


def generator_name(generator: str) -> str:
    """The recipe's own generator, or a rival by its name."""
    return "own" if generator == "main" else generator


def scheme_name(scheme: str) -> str:
    """What a prompt scheme says; one without a name of its own is shown as it is."""
    return SCHEME_NAMES.get(scheme, scheme)


def variant_name(variant: str) -> str:
    """What an ablation's variant means; one without a name of its own is shown as it is."""
    kind, _, share = variant.partition(" ")
    if kind == "mixed" and share:
        return f"{100 * float(share):g} % real"
    return VARIANT_NAMES.get(variant, variant)


def method_name(method: str) -> str:
    """What a guidance method or baseline is called; one without a name is shown as it is."""
    return METHOD_NAMES.get(method, method)


def init_name(init: str) -> str:
    """Where a student begins."""
    return INIT_NAMES.get(init, init)


def fraction_name(fraction: float | None) -> str:
    """`1/8` for 0.125."""
    if fraction is None:
        return ""
    return f"1/{round(1 / fraction)}" if fraction < 1 else "all"


def row_name(row: Mapping[str, Any]) -> str:
    """One line that says what was trained on what; no two records over seeds share it."""
    if row["experiment"] in {"ablate", "gap"}:
        return _ablation_name(row)
    if row["experiment"] == "guide":
        return f"{row['protocol']}: {method_name(row['method'])}"
    if row["experiment"] == "train":
        return f"trained on {set_name(row['set'])}"
    if row["experiment"] == "clone":
        if row["fraction"] != 1:
            return f"trained on {row['num_images']:,} images of {set_name(row['set'])}"
        return f"trained on {set_name(row['set'])} (clone)"
    if row["experiment"] in {"transfer", "control"}:
        return f"{arrow(row['direction'])}, first {row['depth']} frozen"
    return _arm_name(row)


def _arm_name(row: Mapping[str, Any]) -> str:
    real = "all real" if row["fraction"] == 1 else f"{fraction_name(row['fraction'])} of the real"
    arm = {
        "scratch": "from scratch",
        "finetune": "fine-tuned from synthetic",
        "prefix": f"first {row['depth']} frozen from synthetic",
    }[row["arm"]]
    return f"{arm}, {real}"


def _ablation_name(row: Mapping[str, Any]) -> str:
    variant = variant_name(row["variant"])
    if row["arm"] is not None:
        return f"{_arm_name(row)}, {variant}"
    if row["direction"] is not None:
        return f"{arrow(row['direction'])}, first {row['depth']} frozen, {variant}"
    name = f"trained on {set_name(row['set'])}"
    return name if row["ablation"] in {"stylised", "oracle"} else f"{name}, {variant}"


SETTING_EXPERIMENTS = ("train", "clone")
DONOR_EXPERIMENTS = ("transfer", "reduce")  # experiments that choose one synthetic set


def is_plain(name: str) -> bool:
    """Whether a set is the recipe's own at some guidance scale, all else as it is."""
    named = SetName.parse(name)
    return named is not None and name == f"g{named.guidance_scale}"


def without_size(name: str) -> str:
    """A set's name without the factor of its size: sets of one line in a figure."""
    named = SetName.parse(name)
    return name if named is None or named.factor is None else name.rpartition("-x")[0]


def setting_records(rows: Iterable[Record]) -> list[Record]:
    """Records of students of whole synthetic sets, one a set, in their order.

    Any field that tells places apart may be asked of a record; numbers need not be in it.
    """
    found: dict[str, Record] = {}
    for row in rows:
        included = row["experiment"] in SETTING_EXPERIMENTS and row["fraction"] == 1
        if not included or row["source"] != "synthetic" or SetName.parse(row["set"]) is None:
            continue
        if row["set"] not in found or row["experiment"] == "train":
            found[row["set"]] = row
    return list(found.values())


def base_setting(rows: Sequence[Record]) -> Record | None:
    """The plain set at the scale that the other experiments use, else at the lowest scale."""
    plain = [row for row in setting_records(rows) if is_plain(row["set"])]
    used = {row["guidance_scale"] for row in rows if row["experiment"] in DONOR_EXPERIMENTS} - {
        None
    }
    chosen = [row for row in plain if row["guidance_scale"] in used]
    ordered = sorted(chosen or plain, key=lambda row: float(row["guidance_scale"]))
    return ordered[0] if ordered else None


def setting_key(row: Record) -> tuple[str, str, int | None, int]:
    """Generator, prompt scheme, steps and number of images: a row of FITYMI's Table 1."""
    return (
        str(row["generator"] or ""),
        str(row["scheme"] or ""),
        row["steps"],
        int(row["num_images"]),
    )
