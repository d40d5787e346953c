"""Compare the units of real- and synthetic-trained students, and probe what each of them knows."""

from synthgap import stage
from synthgap.experiments.layers import LayersParams, layers
from synthgap.jobs import Artifacts, Log


def main(params: LayersParams, artifacts: Artifacts, log: Log) -> None:  # noqa: ARG001 - no runs
    """Dissect the students of stage train."""
    layers(params, artifacts)


if __name__ == "__main__":
    stage.run(main, shape=LayersParams)
