import os
import shutil
import signal
import subprocess
import sys
import zipfile
from contextlib import nullcontext

import pytest
from image_folders import dvc, git, never, paint, paint_folder, tree, yes

from synthgap.data import importing, versioning
from synthgap.data.importing import import_set, pin_set
from synthgap.data.ingest import IngestParams, ingest
from synthgap.data.overview import overview
from synthgap.data.versioning import is_import, pins
from synthgap.errors import DataError, WorkError
from synthgap.jobs import Artifacts
from synthgap.params.sections import Data, Splits

# DVC 3.67 reads `pygtrie._NoneStep.value`, which pygtrie deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


def ingest_of(root, name):
    params = IngestParams(1, Data(name, 8, "png", Splits("none", 4, "none", 4)))
    ingest(params, Artifacts(root, "r"))


def runs(root):
    log = root / "ran.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def left_over(root):
    return [path.name for path in (root / ".synthgap/import").iterdir() if path.suffix != ".lock"]


@pytest.fixture
def mine(tmp_path):
    return paint_folder(tmp_path / "mine")


def test_a_fresh_clone_needs_nothing_but_dvc_repro(clone):
    dvc(clone, "repro")
    assert tree(clone / "data") == tree(clone / "embedded")
    assert git(clone, "status", "--short").split() == ["??", "dvc.lock"]
    assert runs(clone) == 1
    ingest_of(clone, "digits")  # the shipped pin fits the shipped bytes
    stated = (clone / "data.dvc").read_bytes()
    assert import_set(clone, "digits", None, never).outcome == "unchanged"
    assert (clone / "data.dvc").read_bytes() == stated


def test_an_import_beside_the_digits(checkout, mine):
    """Where nothing ran yet: the digits come along, nothing is asked, later repros keep all."""
    done = import_set(checkout, "mine", mine, never)
    assert (done.outcome, done.num_images, done.num_classes) == ("added", 24, 2)
    assert tree(checkout / "data" / "mine") == tree(mine)
    assert tree(checkout / "data" / "digits") == tree(checkout / "embedded" / "digits")
    assert not is_import(checkout)
    assert sorted(pins(checkout)) == ["digits", "mine"]
    assert left_over(checkout) == []
    dvc(checkout, "repro")
    assert tree(checkout / "data" / "mine") == tree(mine)

    before = (checkout / "dvc.lock").read_bytes()
    import_set(checkout, "other", paint_folder(mine.parent / "other", start=7000), never)
    dvc(checkout, "repro")
    assert runs(checkout) == 1  # the stage on data/digits did not rerun
    assert (checkout / "dvc.lock").read_bytes() == before
    for name in ("mine", "other"):
        ingest_of(checkout, name)
    assert "\nmine: 2 classes, images: 24; pinned " in overview(checkout)


def test_tampering_stops_ingest_although_dvc_rewrote_the_md5(imported, mine):
    paint(imported / "data" / "mine" / "cat" / "000.png", 12345)
    dvc(imported, "repro")
    assert git(imported, "diff", "--stat", "data.dvc")  # DVC accepted it without a word
    with pytest.raises(DataError, match=r"1 file differs \(cat/000\.png: changed\)"):
        ingest_of(imported, "mine")
    git(imported, "checkout", "data.dvc")
    dvc(imported, "checkout", "data.dvc")
    ingest_of(imported, "mine")
    assert tree(imported / "data" / "mine") == tree(mine)


def test_tampering_that_dvc_has_not_seen_can_be_restored_too(imported, mine):
    paint(imported / "data" / "mine" / "cat" / "000.png", 12345)
    with pytest.raises(DataError, match="1 file differs"):
        ingest_of(imported, "mine")
    git(imported, "checkout", "data.dvc")
    dvc(imported, "checkout", "--force", "data.dvc")
    assert tree(imported / "data" / "mine") == tree(mine)


def test_pin_accepts_what_lies_there(imported):
    paint(imported / "data" / "mine" / "cat" / "000.png", 12345)
    digits = pins(imported)["digits"]
    assert pin_set(imported, "mine").outcome == "added"
    ingest_of(imported, "mine")
    assert pins(imported)["digits"] == digits
    assert versioning.is_unchanged(imported)
    assert pin_set(imported, "mine").outcome == "unchanged"


def test_pin_refuses_bad_images_and_a_missing_set(imported):
    (imported / "data" / "mine" / "cat" / "000.png").write_bytes(b"")
    stated = (imported / "data.dvc").read_bytes()
    with pytest.raises(DataError, match=r"cat/000\.png: empty"):
        pin_set(imported, "mine")
    with pytest.raises(DataError, match="missing"):
        pin_set(imported, "none")
    assert (imported / "data.dvc").read_bytes() == stated


def test_replacing_is_asked_first(imported, mine, tmp_path):
    assert import_set(imported, "mine", mine, never).outcome == "unchanged"
    before, stated = tree(imported / "data"), (imported / "data.dvc").read_bytes()
    other = paint_folder(tmp_path / "other", start=5000, per_class=9)
    asked = []
    assert import_set(imported, "mine", other, asked.append).outcome == "kept"
    assert "24 files" in asked[0]
    assert "18 images" in asked[0]
    assert tree(imported / "data") == before
    assert (imported / "data.dvc").read_bytes() == stated
    assert import_set(imported, "mine", other, yes).outcome == "replaced"
    assert tree(imported / "data" / "mine") == tree(other)
    assert tree(imported / "data" / "digits") == tree(imported / "embedded" / "digits")
    ingest_of(imported, "mine")


def test_a_tampered_neighbour_is_not_recorded(imported, tmp_path):
    (imported / "data" / "mine" / "cat" / "000.png").unlink()
    stated = (imported / "data.dvc").read_bytes()
    with pytest.raises(DataError, match=r"data/mine: 1 file differs \(cat/000\.png: gone\)"):
        import_set(imported, "other", paint_folder(tmp_path / "other", start=5000), never)
    assert (imported / "data.dvc").read_bytes() == stated
    assert not (imported / "data" / "other").exists()


def test_a_clone_with_a_plain_data_dvc_fetches_from_the_cache_first(imported, tmp_path):
    shutil.rmtree(imported / "data")
    import_set(imported, "other", paint_folder(tmp_path / "other", start=5000), never)
    assert sorted(path.name for path in (imported / "data").iterdir()) == [
        "digits",
        "mine",
        "other",
    ]


def test_a_neighbour_that_is_gone_and_in_no_cache_is_one_line(imported, tmp_path):
    for path in (imported / "data", imported / ".dvc" / "cache"):
        shutil.rmtree(path)
    with pytest.raises(DataError, match=r"data\.dvc: dvc checkout") as caught:
        import_set(imported, "other", paint_folder(tmp_path / "other", start=5000), never)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_bad_image_leaves_everything_as_it_was(checkout, mine, content):
    (mine / "dog" / "004.png").write_bytes(content)
    stated = (checkout / "data.dvc").read_bytes()
    with pytest.raises(DataError, match=r"dog/004\.png"):
        import_set(checkout, "mine", mine, yes)
    assert (checkout / "data.dvc").read_bytes() == stated
    assert not (checkout / "data" / "mine").exists()
    assert left_over(checkout) == []


def test_a_published_set_with_the_wrong_counts_is_refused(checkout, mine):
    with pytest.raises(DataError, match="2 classes, expected the published 200"):
        import_set(checkout, "cub", mine, yes)
    assert left_over(checkout) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [("../x", "letters"), ("unknown", "--from-folder"), ("cub", "--from-folder"), ("", "letters")],
)
def test_names_that_cannot_be(checkout, name, words):
    with pytest.raises(DataError, match=words):
        import_set(checkout, name, None, yes)


def test_a_name_that_collides_by_case(checkout, mine):
    (checkout / "data" / "Mine").mkdir(parents=True)
    with pytest.raises(DataError, match="but for the case"):
        import_set(checkout, "mine", mine, yes)


def test_outside_of_a_checkout(tmp_path, mine):
    with pytest.raises(DataError, match=r"no \.dvc folder"):
        import_set(tmp_path, "mine", mine, yes)


def test_two_imports_at_once(checkout, mine, monkeypatch):
    monkeypatch.setattr(importing, "LOCK_TIMEOUT_S", 0.0)
    with (
        importing._workplace(checkout),
        pytest.raises(WorkError, match=f"process {os.getpid()}"),
    ):
        import_set(checkout, "mine", mine, yes)


def test_a_full_disk_is_one_line(checkout, mine, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DataError, match="No space left on device") as caught:
        import_set(checkout, "mine", mine, yes)
    assert "\n" not in str(caught.value)
    assert left_over(checkout) == []


def test_a_zip_whose_folders_are_wrapped_in_one(checkout, mine, tmp_path):
    archive = tmp_path / "mine.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in tree(mine).items():
            packed.writestr(f"wrapped/{name}", content)
        packed.writestr("__MACOSX/wrapped/._cat", b"-")
    import_set(checkout, "mine", archive, never)
    assert tree(checkout / "data" / "mine") == tree(mine)


# Each is a moment between two steps that change something; the child is killed right before it.
KILLED = {
    "before data.dvc changes": "importing.set_pin = die",
    "before the old set moves aside": "importing._move = die",
    "between the two renames": (
        "rename = importing.Path.rename\n"
        "importing.Path.rename = lambda self, target: "
        "die() if self.name == 'staged' else rename(self, target)"
    ),
    "before DVC learns the md5": "versioning.add = die",
    "before the listing is kept": "importing.remember = die",
}
CHILD = """
import os, signal, sys
from pathlib import Path
from synthgap.data import importing, versioning

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

{kill}
importing.import_set(Path(sys.argv[1]), "mine", Path(sys.argv[2]), lambda question: True)
"""


@pytest.mark.parametrize("moment", KILLED)
def test_a_killed_import_is_refused_or_whole_and_a_rerun_mends_it(imported, mine, tmp_path, moment):
    checkout, old = imported, tree(mine)
    digits = tree(checkout / "data" / "digits")
    other = paint_folder(tmp_path / "other", start=5000)
    child = [sys.executable, "-c", CHILD.format(kill=KILLED[moment]), str(checkout), str(other)]
    assert subprocess.run(child, check=False).returncode == -signal.SIGKILL

    there = checkout / "data" / "mine"
    assert not there.exists() or tree(there) in (old, tree(other))  # never half of a set
    refused = moment in ("before the old set moves aside", "between the two renames")
    with pytest.raises(DataError, match=r"differ|missing") if refused else nullcontext():
        ingest_of(checkout, "mine")

    import_set(checkout, "mine", other, yes)
    assert tree(there) == tree(other)
    assert tree(checkout / "data" / "digits") == digits
    assert left_over(checkout) == []
    assert versioning.is_unchanged(checkout)
    ingest_of(checkout, "mine")


def test_a_kill_between_the_renames_loses_nothing_if_the_source_is_gone(imported, mine, tmp_path):
    checkout = imported
    other = paint_folder(tmp_path / "other", start=5000)
    script = CHILD.format(kill=KILLED["between the two renames"])
    subprocess.run([sys.executable, "-c", script, str(checkout), str(other)], check=False)
    assert not (checkout / "data" / "mine").exists()
    with pytest.raises(DataError, match="missing"):
        import_set(checkout, "mine", tmp_path / "none", yes)
    assert tree(checkout / "data" / "mine") == tree(mine)  # the old set is back
