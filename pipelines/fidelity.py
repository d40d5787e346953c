"""Measure how close every synthetic set is to real images, and what is wrong with each class."""

from synthgap import stage
from synthgap.experiments.fidelity.stage import FidelityParams, fidelity
from synthgap.jobs import Artifacts, Log


def main(params: FidelityParams, artifacts: Artifacts, log: Log) -> None:
    """Compare every synthetic set with the real ones."""
    fidelity(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=FidelityParams)
