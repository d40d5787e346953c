"""Measure how close every synthetic set is to real images, and what is wrong with each class."""

from synthgap import stage
from synthgap.artifacts import Artifacts, Log
from synthgap.experiments.fidelity import FidelityParams, fidelity


def main(params: FidelityParams, artifacts: Artifacts, log: Log) -> None:
    """Look at every synthetic set beside the real ones."""
    fidelity(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=FidelityParams)
