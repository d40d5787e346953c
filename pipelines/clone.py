"""Train students from scratch on one synthetic set, whole or in part, and probe them."""

from synthgap import stage
from synthgap.experiments.clone import CloneParams, clone
from synthgap.jobs import Artifacts, Log


def main(params: CloneParams, artifacts: Artifacts, log: Log, image_set: str) -> None:
    """Train and probe one student a seed and share."""
    clone(params, artifacts, log, image_set=image_set)


if __name__ == "__main__":
    stage.run(main, shape=CloneParams, coordinates={"image_set": str})
