import pytest
from made_up_cells import Plan, write_cells, write_image_set
from made_up_fidelity import write_fidelity
from made_up_gap import write_gap
from made_up_guide import write_guides
from made_up_layers import write_layers, write_stylise
from made_up_study import write_study

from synthgap.params.sections import Summarise
from synthgap.reporting.report import report
from synthgap.reporting.series import read_cells, read_series
from synthgap.reporting.summarise import SummariseParams, summarise
from synthgap.reporting.summary import read_summaries

RESAMPLES = 200


@pytest.fixture(scope="session")
def run_summary():
    """Summarise a plan whose cells are written."""

    def run(artifacts, plan):
        params = SummariseParams(1, Summarise(resamples=RESAMPLES, confidence=0.95), plan.grid)
        summarise(params, artifacts)

    return run


@pytest.fixture(scope="session")
def plan():
    return Plan()


@pytest.fixture(scope="session")
def write_all(plan):
    """Write every cell of the default plan, four image sets and what other stages leave."""

    def write(root):
        artifacts = write_cells(root, plan)
        for name in ("train", "g1.0", "g2.0", "oracle"):
            write_image_set(artifacts.image_set(name), kind="real")
        write_layers(artifacts, plan)
        write_fidelity(artifacts, plan)
        write_stylise(artifacts)
        write_guides(artifacts, plan)
        write_gap(artifacts, plan)
        write_study(artifacts.stage("tune") / "run.json")
        return artifacts

    return write


@pytest.fixture(scope="session")
def cells(tmp_path_factory, write_all):
    return write_all(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session")
def series(cells):
    paths = [*cells.root.glob("artifacts/*/digits/*/run.json"), cells.stage("gap") / "run.json"]
    folders = sorted(path.parent for path in paths)
    return read_series(read_cells(folders)[0])


@pytest.fixture(scope="session")
def reported(cells, plan, run_summary):
    """The default plan, summarised and reported."""
    run_summary(cells, plan)
    report(cells)
    return cells


@pytest.fixture(scope="session")
def summary(reported):
    """The default plan as the report reads it."""
    return read_summaries(reported.root)[0]
