"""Hold every image set to what is expected of it; nothing trains on what fails."""

from synthgap import stage
from synthgap.jobs import Artifacts, Log
from synthgap.validation import ValidateParams, validate


def main(params: ValidateParams, artifacts: Artifacts, log: Log) -> None:  # noqa: ARG001 - no runs
    """Gate the real sets and every synthetic one."""
    validate(params, artifacts)


if __name__ == "__main__":
    stage.run(main, shape=ValidateParams)
