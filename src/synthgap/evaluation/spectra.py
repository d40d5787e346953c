"""How much of each spatial frequency images hold: generated ones often lack, or add, the high ones.

Azimuthal averages of the power spectrum, as Durall et al. (2020, "Watch your Up-Convolution",
section 3.1) and Dzanic et al. (2020) compare real and generated images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from synthgap.errors import DataError

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
ROUNDING = 1e-20  # power that a blank image has for its mean's last bit


@dataclass(frozen=True)
class Spectrum:
    """Power of a set's brightness by spatial frequency, whatever its direction.

    `frequencies` are in cycles a pixel, float64 (num_rings,), from one cycle an image to the
    corner of the spectrum; `power`, float64 (num_rings,), is the mean over images and over the
    ring, of brightness in [0, 1]; `places` (num_rings,) is how many frequencies lie in each ring.
    """

    frequencies: np.ndarray
    power: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, batches: Iterable[np.ndarray]) -> Self:
        """Measure uint8 images (some, size, size, 3), batch by batch, all of one size.

        Every image's mean is taken off and its rim faded out (Hann), so that the jump between
        opposite rims is not taken for high frequencies.

        Raises:
            DataError: there is no image.
        """
        total, count = None, 0
        for pixels in batches:
            found = _power(pixels)
            total = found if total is None else total + found
            count += len(pixels)
        if total is None or not count:
            raise DataError("spectrum of no images; expected at least one, rerun the set's stage")
        size = len(total)
        rings = np.rint(_radii(size) * size).astype(np.int64)
        places = np.bincount(rings.ravel())[1:]
        sums = np.bincount(rings.ravel(), weights=total.ravel())[1:]
        return cls(np.arange(1, len(places) + 1) / size, sums / places / count, places)

    def share_above(self, frequency: float) -> float:
        """Share of the power, 0 to 1, above `frequency` (cycles a pixel); NaN of blank images."""
        whole = float((self.power * self.places).sum())
        above = self.frequencies > frequency
        return float((self.power * self.places)[above].sum()) / whole if whole else float("nan")

    @property
    def log_power(self) -> np.ndarray:
        """Decimal logarithm of the power, -inf where there is none."""
        with np.errstate(divide="ignore"):
            logs: np.ndarray = np.log10(self.power)
        return logs


def _power(pixels: np.ndarray) -> np.ndarray:
    """Sum over images of the power at every frequency, float64 (size, size)."""
    brightness: np.ndarray = pixels.astype(np.float64) @ (np.asarray(LUMA) / 255)
    size = brightness.shape[-1]
    fade = np.hanning(size + 2)[1:-1]
    centred = brightness - brightness.mean(axis=(1, 2), keepdims=True)
    transformed = np.fft.fft2(centred * np.outer(fade, fade))
    power: np.ndarray = np.square(np.abs(transformed))
    power[power < ROUNDING] = 0.0
    summed: np.ndarray = power.sum(axis=0)
    return summed


def _radii(size: int) -> np.ndarray:
    """Distance of every frequency from 0, in cycles a pixel, (size, size)."""
    axis = np.fft.fftfreq(size)
    radii: np.ndarray = np.hypot(axis[:, None], axis[None, :])
    return radii
