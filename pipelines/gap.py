"""Hold real and synthetic sources against each other, and add easy or hard images to real ones."""

from synthgap import stage
from synthgap.experiments.gap.stage import GapParams, gap
from synthgap.jobs import Artifacts, Log


def main(params: GapParams, artifacts: Artifacts, log: Log) -> None:
    """Find where the gap comes from."""
    gap(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=GapParams)
