import json
import re

import pytest
from made_up_study import Made, study_run, write_study

from synthgap.jobs import folder_digest
from synthgap.reporting.blocks import FigureBlock, FoldedBlocks
from synthgap.reporting.studies import StudyFindings
from synthgap.reporting.studies_section import study_blocks, write_study_page

LONG = {
    f"guide.some_part.with_a_rather_long_name_{k}.scale.0": (
        ["alpha", "beta", None], "alpha") if k % 2 else (
        {"low": 0.1, "high": 9.0, "step": None, "log": True}, 1.0
    )
    for k in range(6)
}  # fmt: skip
ALWAYS = {"history", "parallel", "slices"}


def _kinds(found):
    blocks = study_blocks(found)
    drawings = [block.drawing for block in blocks if isinstance(block, FigureBlock)]
    return {drawing.kind.removeprefix("tune-") for drawing in drawings if drawing is not None}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return write_study_page(write_study(folder / "run.json"), folder)


def test_the_page_needs_nothing_else_and_stands_beside_its_record(plain):
    text = plain.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|<script|<link|url\((?!#)|src=", text)
    assert (plain.parent / "run.json").is_file()
    names = {path.name for path in (plain.parent / "figures").iterdir()}
    assert names == {
        f"tune-{kind}.png"
        for kind in (*ALWAYS, "grid", "importance", "verdict", "watched")
    }  # fmt: skip
    assert not list(plain.parent.rglob("*.partial"))


def test_every_figure_says_in_words_what_it_shows_and_takes_the_page_s_colours(plain):
    text = plain.read_text(encoding="utf-8")
    labels = re.findall(r'<svg role="img" aria-label="([^"]+)"', text)
    assert len(labels) == text.count("<svg") == 7
    assert all(label.startswith("digits, study tune: ") for label in labels)
    assert "#fefefe" not in text
    assert "var(--paper)" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_whatever_comes_from_a_trial_is_escaped(plain):
    text = plain.read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "Trial 17: the loss is not finite after epoch 1 &lt;b&gt;" in text


def test_the_same_record_gives_the_same_bytes_and_stale_figures_go(tmp_path):
    record = write_study(tmp_path / "run.json", Made(ended=1, finished=False))
    first, second = tmp_path / "first", tmp_path / "second"
    (second / "figures").mkdir(parents=True)
    (second / "figures" / "tune-pareto.png").write_bytes(b"of before")
    for folder in (first, second):
        write_study_page(record, folder)
    assert folder_digest(first) == folder_digest(second)


@pytest.mark.parametrize(
    ("made", "kinds"),
    [
        (Made(ended=0, finished=False), set()),
        (Made(ended=1, finished=False), {"history"}),
        (Made(ended=5, failing=True, finished=False), {"history"}),
        (Made(gridded=False, ended=6, finished=False, watched=()), ALWAYS),
        (
            Made(objectives=("val/top1", "real_labels"), watched=(), gridded=False, ended=10),
            ALWAYS | {"importance", "pareto", "verdict", "watched"},
        ),
        (Made(objectives=("agreement",), watched=(), ended=12, extra=LONG),
         ALWAYS | {"grid", "importance", "verdict"}),
    ],
    ids=["none", "one", "failed", "short", "pareto", "label-free"],
)  # fmt: skip
def test_a_study_of_any_kind_has_a_page_of_what_it_has(tmp_path, made, kinds):
    page = write_study_page(write_study(tmp_path / "run.json", made), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "not run" not in text
    names = {path.stem.removeprefix("tune-") for path in tmp_path.glob("figures/*.png")}
    assert names == kinds
    if made.ended:
        assert f"{40 - made.ended} of the budget of 40 have not ended yet" in text
        assert f"All trials ({made.ended})" in text
    else:
        assert "none of its 40 trials has ended yet" in text


def test_what_is_lacking_is_left_out_of_a_record_as_of_a_running_study():
    run = study_run(Made(ended=3, finished=False))
    for name in ("finals", "winner", "verdict", "importances", "correlations", "pareto", "best"):
        del run["study"][name]
    run["study"]["grid"] = None
    assert _kinds(StudyFindings(json.loads(json.dumps(run)))) == ALWAYS


def test_all_trials_are_folded_away():
    blocks = study_blocks(StudyFindings(study_run(Made(ended=1, finished=False))))
    assert [block.title for block in blocks if isinstance(block, FoldedBlocks)] == [
        "All trials (1)"
    ]
