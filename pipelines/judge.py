"""Train a classifier of real images that labels, filters and judges synthetic ones, or pin one."""

from synthgap import stage
from synthgap.experiments.judge import JudgeParams, make_judge
from synthgap.jobs import Artifacts, Log


def main(params: JudgeParams, artifacts: Artifacts, log: Log) -> None:
    """Make the judge."""
    make_judge(params, artifacts, log)


if __name__ == "__main__":
    stage.run(main, shape=JudgeParams)
