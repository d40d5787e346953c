"""What a set's name and the parameters ask for together."""

from __future__ import annotations

from dataclasses import dataclass

from synthgap.errors import ParamsError
from synthgap.generation.checkpoints.provenance import MAIN
from synthgap.generation.samplers.requests import Settings
from synthgap.params.sections import Data, Prompts, Runtime, Synthesize
from synthgap.params.set_names import FORM, LEAST_FACTOR, MOST_FACTOR, SetName

UNGUIDED = 1.0


@dataclass(frozen=True)
class SynthesizeParams:
    """What stage `synthesize` reads of params.yaml."""

    seed: int
    runtime: Runtime
    data: Data
    prompts: Prompts
    synthesize: Synthesize


@dataclass(frozen=True)
class Wanted:
    """One set: what its name leaves open is as in section `synthesize`."""

    name: str
    rival: str | None
    guidance_scale: float | None
    scheme: str
    steps: int
    factor: float

    @property
    def source(self) -> tuple[str, ...]:
        """Stage and cell of the generator's folder."""
        return (MAIN,) if self.rival is None else ("rivals", self.rival)

    @property
    def family(self) -> str:
        """The set's name without its size: longer and shorter sets hold the same images."""
        return self.name.rpartition("-x")[0] or self.name

    def settings(self, section: Synthesize) -> Settings:
        """How its images are sampled."""
        return Settings(
            negative_prompt=section.negative_prompt,
            guidance_scale=UNGUIDED if self.guidance_scale is None else self.guidance_scale,
            steps=self.steps,
            scheduler=section.scheduler,
            width=section.width,
            height=section.height,
            compute_batch=section.compute_batch,
            decode_batch=section.decode_batch,
            safety=section.filters.safety,
        )


def wanted_set(name: str, section: Synthesize) -> Wanted:
    """Read a set's name.

    Raises:
        ParamsError: it is no synthetic set's, or its factor is out of range.
    """
    read = SetName.parse(name)
    if read is None:
        raise ParamsError(f"--image-set {name}: no synthetic set's name, expected {FORM}")
    factor = 1.0 if read.factor is None else read.factor
    if not LEAST_FACTOR <= factor <= MOST_FACTOR:
        raise ParamsError(
            f"--image-set {name}: factor {factor:g}, expected {LEAST_FACTOR:g} to {MOST_FACTOR:g}"
        )
    return Wanted(
        name=name,
        rival=read.rival,
        guidance_scale=read.guidance_scale,
        scheme=read.scheme or section.scheme,
        steps=read.steps or section.steps,
        factor=factor,
    )
