from __future__ import annotations

import pytest

from synthgap.errors import ParamsError
from synthgap.generation.prompts.prompt_files import read_backgrounds, read_templates


def test_scenes_are_read_as_places365_lists_them_and_as_plain_lines(tmp_path):
    path = tmp_path / "scenes.txt"
    path.write_text("/a/airfield 0\n/a/apartment_building/outdoor 8\n/y/yard\n# mine\narea 51\n")
    assert read_backgrounds(path) == ("airfield", "apartment building outdoor", "yard", "area 51")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n# nothing\n", "is empty, expected a scene a line"),
        ("/b/bar 1\nbeach\nbar\n", "line 3: 'bar' is line 1 again"),
    ],
)
def test_no_scenes_and_scenes_twice_are_refused(tmp_path, text, message):
    (tmp_path / "scenes.txt").write_text(text)
    with pytest.raises(ParamsError, match=message):
        read_backgrounds(tmp_path / "scenes.txt")


def test_a_line_that_is_no_template_is_told(tmp_path):
    path = tmp_path / "templates.txt"
    path.write_text("a {class}\n\na picture\n")
    with pytest.raises(ParamsError, match=r"line 3: 'a picture': it does not name the class"):
        read_templates(path)


def test_the_shipped_lists_can_be_read(checkout):
    assert len(read_templates(checkout / "prompts" / "digits" / "templates.txt")) > 1
    assert len(read_backgrounds(checkout / "prompts" / "digits" / "backgrounds.txt")) > 1
