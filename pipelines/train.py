"""Train students from scratch on one image set."""

from synthgap import stage
from synthgap.artifacts import Artifacts, Log
from synthgap.experiments.train import train
from synthgap.runs.plan import Settings


def main(params: Settings, artifacts: Artifacts, log: Log, image_set: str) -> None:
    """Train one student a seed."""
    train(params, artifacts, log, image_set=image_set)


if __name__ == "__main__":
    stage.run(main, shape=Settings, coordinates={"image_set": str})
