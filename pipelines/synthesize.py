"""Sample a synthetic image set from the generator at one guidance scale."""

from synthgap import stage
from synthgap.artifacts import Artifacts, Log
from synthgap.generation.synthesis import SynthesizeParams, synthesize


def main(
    params: SynthesizeParams,
    artifacts: Artifacts,
    log: Log,  # noqa: ARG001 - every stage is given one; sampling has nothing to tell MLflow
    guidance_scale: float,
) -> None:
    """Make the set."""
    synthesize(params, artifacts, guidance_scale=guidance_scale)


if __name__ == "__main__":
    stage.run(main, shape=SynthesizeParams, coordinates={"guidance_scale": float})
