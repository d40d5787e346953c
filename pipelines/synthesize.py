"""Sample a synthetic image set; its name says generator, guidance scale, prompts and size."""

from synthgap import stage
from synthgap.generation.synthesis.synthesize import SynthesizeParams, synthesize
from synthgap.jobs import Artifacts, Log


def main(
    params: SynthesizeParams,
    artifacts: Artifacts,
    log: Log,  # noqa: ARG001 - every stage is given one; sampling has nothing to tell MLflow
    image_set: str,
) -> None:
    """Make the set."""
    synthesize(params, artifacts, image_set=image_set)


if __name__ == "__main__":
    stage.run(main, shape=SynthesizeParams, coordinates={"image_set": str}, in_processes=True)
