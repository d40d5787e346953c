"""Train students by every method of a protocol: guidance losses and their baselines."""

from synthgap import stage
from synthgap.experiments.guide import GuideParams, guide
from synthgap.jobs import Artifacts, Log


def main(params: GuideParams, artifacts: Artifacts, log: Log, protocol: str) -> None:
    """Make one protocol's cell."""
    guide(params, artifacts, log, protocol=protocol)


if __name__ == "__main__":
    stage.run(main, shape=GuideParams, coordinates={"protocol": str})
