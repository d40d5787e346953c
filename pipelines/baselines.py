"""Learn from a fraction of the real labels from scratch, and fine-tuning a synthetic donor."""

from synthgap import stage
from synthgap.artifacts import Artifacts, Log
from synthgap.experiments.baselines import baselines
from synthgap.experiments.reduce import ReduceParams


def main(params: ReduceParams, artifacts: Artifacts, log: Log, denominator: int) -> None:
    """Train both baselines on 1/denominator of the real labels."""
    baselines(params, artifacts, log, denominator=denominator)


if __name__ == "__main__":
    stage.run(main, shape=ReduceParams, coordinates={"denominator": int})
