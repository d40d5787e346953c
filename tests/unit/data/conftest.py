"""The real images beside the checkout, and a scratch checkout that DVC and git know."""

import shutil
from pathlib import Path

import pytest
from image_folders import REPOSITORY, dvc, git, paint_folder

from synthgap.data.checking import contents
from synthgap.data.folder import RawFolder
from synthgap.data.importing import import_set
from synthgap.data.versioning import digest_of, pins


@pytest.fixture(autouse=True, scope="session")
def _own_dvc_site_cache(tmp_path_factory):
    """Keep DVC's index and its analytics away from the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("dvc-site")))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        yield


STAGE = """stages:
  count:
    cmd: ls data/digits/0 | wc -l > count.txt; date +%s%N >> ran.log
    deps: [data/digits]
    outs: [count.txt]
"""


def write_repository(folder: Path) -> None:
    """The data files as shipped, but for `embedded/`, with a stage on data/digits."""
    git(folder, "init", "-q", "-b", "main")
    for name in ("data.dvc", ".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / "dvc.yaml").write_text(STAGE)
    with (folder / ".gitignore").open("a") as stream:
        stream.write("/ran.log\n/count.txt\n")


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "as it is")


@pytest.fixture
def clone(tmp_path) -> Path:
    """A fresh git clone of what is shipped."""
    origin = tmp_path / "origin"
    origin.mkdir()
    write_repository(origin)
    shutil.copytree(REPOSITORY / "embedded", origin / "embedded")
    commit(origin)
    git(tmp_path, "clone", "-q", str(origin), str(tmp_path / "clone"))
    return tmp_path / "clone"


@pytest.fixture(scope="session")
def reduced(tmp_path_factory) -> Path:
    """The same with 20 digits, so that a test of an import takes little time."""
    folder = tmp_path_factory.mktemp("reduced")
    write_repository(folder)
    for class_folder in (REPOSITORY / "embedded" / "digits").iterdir():
        (folder / "embedded" / "digits" / class_folder.name).mkdir(parents=True)
        for path in sorted(class_folder.iterdir())[:2]:
            shutil.copy(path, folder / "embedded" / "digits" / class_folder.name)
    dvc(folder, "update", "-q", "data.dvc")
    digest = digest_of(contents(RawFolder.read(folder / "data" / "digits").images))
    stated = (folder / "data.dvc").read_text()
    (folder / "data.dvc").write_text(stated.replace(pins(folder)["digits"], digest))
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / ".dvc" / "cache")
    commit(folder)
    return folder


@pytest.fixture
def checkout(reduced, tmp_path) -> Path:
    """A checkout with 20 digits in which nothing ran yet."""
    shutil.copytree(reduced, tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture(scope="session")
def _with_mine(reduced, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("with_mine")
    shutil.copytree(reduced, folder / "checkout")
    mine = paint_folder(folder / "mine")
    import_set(folder / "checkout", "mine", mine, lambda question: False)
    commit(folder / "checkout")
    return folder / "checkout"


@pytest.fixture
def imported(_with_mine, tmp_path) -> Path:
    """A checkout with 20 digits and the imported, committed set `mine` (`paint_folder`)."""
    shutil.copytree(_with_mine, tmp_path / "checkout")
    return tmp_path / "checkout"
