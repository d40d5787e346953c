"""Learn from a fraction of the real labels: from scratch, fine-tuned, over frozen prefixes."""

from synthgap import stage
from synthgap.experiments.reduce import ReduceParams, reduce
from synthgap.jobs import Artifacts, Log


def main(params: ReduceParams, artifacts: Artifacts, log: Log, denominator: int) -> None:
    """Train on 1/denominator of the real labels, with and without a synthetic donor."""
    reduce(params, artifacts, log, denominator=denominator)


if __name__ == "__main__":
    stage.run(main, shape=ReduceParams, coordinates={"denominator": int})
