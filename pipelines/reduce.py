"""Learn from a fraction of the real labels over a frozen synthetic prefix."""

from synthgap import stage
from synthgap.artifacts import Artifacts, Log
from synthgap.experiments.reduce import ReduceParams, reduce


def main(
    params: ReduceParams, artifacts: Artifacts, log: Log, denominator: int, depth: int
) -> None:
    """Train on 1/denominator of the real labels over a prefix of `depth` units."""
    reduce(params, artifacts, log, denominator=denominator, depth=depth)


if __name__ == "__main__":
    stage.run(main, shape=ReduceParams, coordinates={"denominator": int, "depth": int})
