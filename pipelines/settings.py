"""Write the sections that all students share, for the cells of every sweep to depend on."""

from synthgap import stage
from synthgap.experiments.settings import SettingsParams, write_settings
from synthgap.jobs import Artifacts, Log


def main(params: SettingsParams, artifacts: Artifacts, log: Log) -> None:  # noqa: ARG001 - no runs
    """Write the files."""
    write_settings(params, artifacts)


if __name__ == "__main__":
    stage.run(main, shape=SettingsParams)
