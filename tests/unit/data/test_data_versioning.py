import pytest
from image_folders import paint, paint_folder, write_pins

from synthgap.data.folder import RawFolder
from synthgap.data.versioning import digest_of, is_import, pins, require_pinned, set_pin
from synthgap.errors import DataError

IMPORT = """# first
md5: aa
deps:
- md5: bb.dir
  path: embedded
outs:
- md5: bb.dir
  path: data
meta:
  sets:
    digits: cc # second
"""


def test_a_pin_turns_an_import_into_a_plain_add_and_keeps_the_rest(tmp_path):
    (tmp_path / "data.dvc").write_text(IMPORT)
    assert is_import(tmp_path)
    set_pin(tmp_path, "mine", "dd")
    assert not is_import(tmp_path)
    assert pins(tmp_path) == {"digits": "cc", "mine": "dd"}
    text = (tmp_path / "data.dvc").read_text()
    assert "# second" in text
    assert "path: data" in text
    assert "embedded" not in text


def test_a_pin_is_added_where_there_was_no_meta(tmp_path):
    (tmp_path / "data.dvc").write_text("outs:\n- path: data\n")
    assert pins(tmp_path) == {}
    set_pin(tmp_path, "mine", "dd")
    assert pins(tmp_path) == {"mine": "dd"}


def test_no_data_dvc_means_no_pins(tmp_path):
    assert pins(tmp_path) == {}
    assert not is_import(tmp_path)


@pytest.mark.parametrize(
    "text", ["- a\n- b\n", "a: [", "meta:\n  sets: [x]\n", "meta: {sets: {a: 1}}"]
)
def test_a_damaged_data_dvc_is_one_line(tmp_path, text):
    (tmp_path / "data.dvc").write_text(text)
    with pytest.raises(DataError, match=r"data\.dvc") as caught:
        pins(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_digest_covers_names_and_bytes_in_any_order():
    files = {"a": "1", "b": "2"}
    assert digest_of(files) == digest_of(dict(reversed(files.items())))
    assert len({digest_of(each) for each in (files, {"a": "2", "b": "1"}, {"a": "1"})}) == 3


def test_a_difference_is_counted_even_after_the_listing_is_lost(tmp_path):
    paint_folder(tmp_path / "data" / "mine", per_class=2)
    write_pins(tmp_path, "mine")
    require_pinned(tmp_path, "mine", RawFolder.read(tmp_path / "data" / "mine"))
    paint(tmp_path / "data" / "mine" / "cat" / "000.png", 99)
    changed = RawFolder.read(tmp_path / "data" / "mine")
    with pytest.raises(DataError, match=r"1 file differs \(cat/000\.png: changed\)"):
        require_pinned(tmp_path, "mine", changed)
    for path in (tmp_path / ".synthgap" / "listings").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="its 4 files differ"):
        require_pinned(tmp_path, "mine", changed)
