"""What sections of params.yaml say against each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from synthgap.params.synthesis import FORM, LEAST_FACTOR, MOST_FACTOR, SetName

if TYPE_CHECKING:
    from synthgap.params.sections import Params


def contradictions(params: Params) -> Iterator[str]:
    """Name everything that one section says against another."""
    for name in ("transfer", "control", "reduce", "ablate", "layers", "register"):
        scale = getattr(params, name).guidance_scale
        if f"g{scale}" not in params.grid.sets or f"g{scale}" not in params.grid.synthetic_sets:
            yield (
                f"{name}.guidance_scale: {scale}, expected one whose set (g{scale}) is both in "
                "grid.synthetic_sets and in grid.sets"
            )
    if params.stylise.guidance_scale != params.ablate.guidance_scale:
        yield (
            f"stylise.guidance_scale: {params.stylise.guidance_scale}, expected "
            f"{params.ablate.guidance_scale}, that of ablate, whose Table 3 reads it"
        )
    if params.training.supervision != "labels":
        yield (
            f"training.supervision: {params.training.supervision}, expected labels: a teacher is "
            "asked by the table `supervision` of stage ablate alone"
        )
    yield from _generator_problems(params)
    yield from _prompt_problems(params)
    yield from _set_problems(params)
    yield from _split_problems(params)
    yield from _guidance_problems(params)


def _generator_problems(params: Params) -> Iterator[str]:
    for name in params.grid.rivals:
        if name not in params.rivals:
            yield f"grid.rivals: {name!r}, expected one of rivals ({sorted(params.rivals)})"
        elif params.rivals[name].kind == "train" and params.generator.kind != "train":
            kind = params.generator.kind
            yield f"rivals.{name}.kind: train, but generator.kind: {kind}; expected pin, folder"
    for name in params.grid.synthetic_sets:
        parsed = SetName.parse(name)
        if parsed is None:
            yield f"grid.synthetic_sets: {name!r}, expected {FORM}"
        elif parsed.rival is not None and parsed.rival not in params.grid.rivals:
            options = list(params.grid.rivals)
            yield f"grid.synthetic_sets: {name!r}, expected a rival of grid.rivals ({options})"
        elif parsed.factor is not None and not LEAST_FACTOR <= parsed.factor <= MOST_FACTOR:
            yield (
                f"grid.synthetic_sets: {name!r}, expected a factor from {LEAST_FACTOR:g} to "
                f"{MOST_FACTOR:g}"
            )


def _prompt_problems(params: Params) -> Iterator[str]:
    """DVC sees changes in the recipe's own folder of prompts alone."""
    for name in ("templates", "classes", "backgrounds", "captions"):
        path = getattr(params.prompts, name)
        folder = f"prompts/{params.recipe}/"
        if path is not None and not path.startswith(folder):
            yield f"prompts.{name}: {path!r}, expected a file in {folder}, or null"


def _set_problems(params: Params) -> Iterator[str]:
    allowed = {"corpus", "train", *params.grid.synthetic_sets}
    lists = {"grid.sets": params.grid.sets, "grid.clones": params.grid.clones}
    lists["clone.curve_sets"] = params.clone.curve_sets
    for place, names in lists.items():
        for name in names:
            if name not in allowed:
                yield f"{place}: {name!r}, expected one of {sorted(allowed)}"
    yield from _seed_problems(params)


def _seed_problems(params: Params) -> Iterator[str]:
    for name in ("transfer", "control", "reduce", "ablate", "layers", "gap"):
        extra = sorted(set(getattr(params, name).seeds) - set(params.train.seeds))
        if extra:
            yield f"{name}.seeds: {extra} have no donor; expected some of train.seeds"
    if params.register.seed not in params.train.seeds:
        yield f"register.seed: {params.register.seed}, expected one of train.seeds"


def _split_problems(params: Params) -> Iterator[str]:
    if params.generator.kind == "train" and params.data.splits.corpus == "none":
        yield "data.splits.corpus: none, but generator.kind: train needs images to learn from"
    for name in ("teacher", "oracle", "stylise"):
        trained = getattr(params, name).kind == "train"
        if trained and params.data.splits.corpus == "none":
            yield f"{name}.kind: train, but data.splits.corpus is none; set {name}.pin"
        if trained and name != "stylise" and params.generator.kind != "train":
            kind = params.generator.kind
            yield f"{name}.kind: train, but generator.kind: {kind}; expected {name}.pin too"
    if "corpus" in params.grid.sets and params.data.splits.corpus == "none":
        yield "grid.sets: 'corpus', but data.splits.corpus is none"
    judge = params.judge
    blind = judge.learns_from == "corpus" and params.data.splits.corpus == "none"
    if judge.kind == "train" and blind:
        yield "judge.learns_from: corpus, but data.splits.corpus is none; expected train"
    if "train" not in params.grid.sets:
        yield "grid.sets: expected `train`, the real set that every gap is measured against"


def _guidance_problems(params: Params) -> Iterator[str]:
    guide, sets = params.guide, list(params.grid.synthetic_sets)
    if guide.image_set not in sets:
        yield f"guide.image_set: {guide.image_set!r}, expected one of grid.synthetic_sets ({sets})"
    for name in params.grid.guides:
        if name not in params.protocols:
            yield f"grid.guides: {name!r}, expected one of protocols ({sorted(params.protocols)})"
    for place, name in guide.references.items():
        if name not in params.grid.references:
            options = list(params.grid.references)
            yield f"{place}: {name!r}, expected one of grid.references ({options})"
    for name in params.gap.sets:
        if name not in params.grid.sets:
            yield f"gap.sets: {name!r}, expected one of grid.sets ({list(params.grid.sets)})"
    yield from _reference_problems(params)


def _reference_problems(params: Params) -> Iterator[str]:
    for name in params.grid.references:
        if name not in params.references:
            names = sorted(params.references)
            yield f"grid.references: {name!r}, expected one of references ({names})"
        elif params.references[name].kind == "train" and params.data.splits.corpus == "none":
            yield f"references.{name}.kind: train, but data.splits.corpus is none; expected pin"
