"""Change one thing of the training at a time: the paper's tables, for this recipe."""

from synthgap import stage
from synthgap.experiments.ablate import AblateParams, ablate
from synthgap.jobs import Artifacts, Log


def main(params: AblateParams, artifacts: Artifacts, log: Log, ablation: str) -> None:
    """Make every run of one table."""
    ablate(params, artifacts, log, ablation=ablation)


if __name__ == "__main__":
    stage.run(main, shape=AblateParams, coordinates={"ablation": str})
