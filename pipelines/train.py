"""Train students from scratch on one image set."""

from synthgap import stage
from synthgap.experiments.runs.spec import RunSettings
from synthgap.experiments.train import train
from synthgap.jobs import Artifacts, Log


def main(params: RunSettings, artifacts: Artifacts, log: Log, image_set: str) -> None:
    """Train one student a seed."""
    train(params, artifacts, log, image_set=image_set)


if __name__ == "__main__":
    stage.run(main, shape=RunSettings, coordinates={"image_set": str})
