"""What stage `layers` measured after every unit: similarities and probes, and their sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

ACROSS, SAME, OTHER = "real~synthetic", "real~real", "synthetic~synthetic"
SOURCES = ("real", "synthetic")
UnitValues = list[tuple[float, ...]]  # a unit's values, one a seed or pair of seeds
Matrix = list[list[float | None]]  # nothing where a unit does not tell images apart


@dataclass(frozen=True)
class LayerNumbers:
    """Similarities and probes by unit, in the units' order."""

    units: tuple[str, ...]
    cka: Mapping[str, UnitValues]  # by pair; 0 to 1
    probes: Mapping[str, UnitValues]  # by the student's source; percent
    matrices: Mapping[str, Matrix]  # by pair, (units, units)
    guidance_scale: float
    images: Mapping[str, int]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> LayerNumbers:
        """Group what `layers.json` lists."""
        units = tuple(content["units"])
        return cls(
            units=units,
            cka=_grouped(content["cka"], ("pair", "value"), units),
            probes=_grouped(content["probes"], ("source", "top1"), units),
            matrices=dict(content["matrix"]),
            guidance_scale=float(content["guidance_scale"]),
            images=dict(content["images"]),
        )


def layer_sentences(layers: LayerNumbers) -> list[str]:
    """Where the two students part, and where the synthetic one's features stop serving."""
    return [*_similarity(layers), *_probes(layers), *_best_units(layers)]


def _similarity(layers: LayerNumbers) -> Iterator[str]:
    across, same = layers.cka.get(ACROSS), layers.cka.get(SAME)
    if not across or not same:
        return
    pairs = zip(across, same, strict=True)
    start = _first_lasting(
        [bool(here and there) and fmean(here) < min(there) for here, there in pairs]
    )
    if start is None:
        yield (
            "After the last unit the CKA between the real- and the synthetic-trained student "
            f"({_mean(across[-1])}) is not below that of every two real-trained ones."
        )
        return
    yield (
        f"From {_unit_name(layers, start)} on, the CKA between the real- and the synthetic-trained "
        f"student ({fmean(across[start]):.2f} there, {_mean(across[-1])} after the last unit) lies "
        f"below that of every two real-trained ones ({min(same[start]):.2f} there or more, mean "
        f"{_mean(same[-1])} after the last){_other_clause(layers)}."
    )


def _other_clause(layers: LayerNumbers) -> str:
    """What two students of one synthetic set have in common, which may be less still."""
    rows = layers.cka.get(OTHER)
    return f"; two synthetic-trained ones have {_mean(rows[-1])} there" if rows else ""


def _probes(layers: LayerNumbers) -> Iterator[str]:
    real, synthetic = (layers.probes.get(source) for source in SOURCES)
    if not real or not synthetic:
        return
    pairs = zip(synthetic, real, strict=True)
    start = _first_lasting(
        [bool(here and there) and max(here) < min(there) for here, there in pairs]
    )
    if start is None:
        yield (
            "After the last unit, probes of synthetic-trained students do not lie below those of "
            "real-trained ones for every seed."
        )
        return
    yield (
        f"From {_unit_name(layers, start)} on, probes of every synthetic-trained student lie below "
        f"those of every real-trained one: {fmean(synthetic[start]):.1f} against "
        f"{fmean(real[start]):.1f} % there, {fmean(synthetic[-1]):.1f} against "
        f"{fmean(real[-1]):.1f} % after the last unit."
    )


def _best_units(layers: LayerNumbers) -> Iterator[str]:
    parts = []
    for source in SOURCES:
        means = [fmean(values) for values in layers.probes.get(source, []) if values]
        if len(means) != len(layers.units):
            return
        best = max(range(len(means)), key=means.__getitem__)
        lost = means[best] - means[-1]
        end = f", {lost:.1f} points above its last unit" if best < len(means) - 1 else ""
        place = f"the {source}-trained student after {_unit_name(layers, best)}"
        parts.append(f"{place}, {means[best]:.1f} %{end}")
    yield f"Real images are told apart best from {'; from '.join(parts)}."


def _first_lasting(lower: list[bool]) -> int | None:
    """The first unit from which on every unit is lower; nothing where the last is not."""
    start = len(lower)
    while start and lower[start - 1]:
        start -= 1
    return start if start < len(lower) else None


def _mean(values: tuple[float, ...]) -> str:
    return f"{fmean(values):.2f}" if values else "undefined"


def _unit_name(layers: LayerNumbers, index: int) -> str:
    return f"{layers.units[index]} (unit {index + 1} of {len(layers.units)})"


def _grouped(
    rows: list[Mapping[str, Any]], fields: tuple[str, str], units: tuple[str, ...]
) -> dict[str, UnitValues]:
    key, value = fields
    kinds = dict.fromkeys(str(row[key]) for row in rows)
    return {
        kind: [
            tuple(
                float(row[value])
                for row in rows
                if row[key] == kind and row["unit"] == unit and row[value] is not None
            )
            for unit in units
        ]
        for kind in kinds
    }
