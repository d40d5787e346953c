"""Freeze and relearn on the same source: what freezing itself costs."""

from synthgap import stage
from synthgap.experiments.transfer import ControlParams, control
from synthgap.jobs import Artifacts, Log


def main(params: ControlParams, artifacts: Artifacts, log: Log, depth: int) -> None:
    """Run both controls at one depth."""
    control(params, artifacts, log, depth=depth)


if __name__ == "__main__":
    stage.run(main, shape=ControlParams, coordinates={"depth": int})
