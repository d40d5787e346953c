"""Train a text-to-image pipeline on `corpus`, or pin one that was made elsewhere."""

from synthgap import stage
from synthgap.generation.trainers.generator import GeneratorParams, make_generator
from synthgap.jobs import Artifacts, Log


def main(params: GeneratorParams, artifacts: Artifacts, log: Log) -> None:
    """Make the generator."""
    make_generator(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=GeneratorParams)
