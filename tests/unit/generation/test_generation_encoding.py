import io
import json

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from synthgap.data.image_set import ImageSet, write_manifest
from synthgap.errors import ParamsError
from synthgap.generation.synthesis.encoding import (
    Encoding,
    encoding_of,
    like_real,
    metadata_in,
)

STORY = {"prompt": "a sch\u00f6n cat", "k": 3, "settings": {"steps": 2}}
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
ENCODINGS = {
    "png": Encoding("png", None),
    "square": Encoding("png", 16),
    "jpeg": Encoding("jpeg", None, quality=70),
    "real": Encoding("jpeg", 16, tables=((9,) * 64, (7,) * 64), subsampling=1),
}


def real_set(root, saved):
    """An image set whose file i is `saved[i]`, (format, options)."""
    from hashlib import sha256

    columns = {"path": [], "label": [], "sha256": []}
    (root / "a").mkdir(parents=True)
    for number, (kind, options) in enumerate(saved):
        path = f"a/{number}.{kind}"
        Image.fromarray(PIXELS).save(root / path, format=kind, **options)
        columns["path"].append(path)
        columns["label"].append(0)
        columns["sha256"].append(sha256((root / path).read_bytes()).hexdigest())
    write_manifest(root, kind="real", classes=["a"], columns=columns)
    return ImageSet.read(root)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_file_tells_its_story_and_is_a_function_of_it(name):
    encoding = ENCODINGS[name]
    content = encoding.encode(PIXELS, STORY)
    assert encoding.encode(PIXELS, dict(reversed(STORY.items()))) == content
    assert metadata_in(content, "here") == STORY
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == encoding.stored_px((32, 24))
        assert image.format == encoding.format.upper()
        if name == "png":
            assert np.array_equal(np.asarray(image), PIXELS)
    brief = json.loads(json.dumps(encoding.brief))
    assert encoding_of(content, brief).encode(PIXELS, STORY) == content


def test_as_train_has_the_tables_and_subsampling_of_most_real_files(tmp_path):
    most, few = {"quality": 83, "subsampling": 1}, {"quality": 40}
    images = real_set(tmp_path, [("jpeg", most)] * 3 + [("jpeg", few), ("png", {})])
    encoding = like_real(images, None)
    assert encoding.share == pytest.approx(0.6)
    content = io.BytesIO(encoding.encode(PIXELS, STORY))
    with Image.open(content) as ours, Image.open(images.root / images.paths[0]) as real:
        assert ours.quantization == real.quantization
        assert JpegImagePlugin.get_sampling(ours) == JpegImagePlugin.get_sampling(real) == 1
        assert np.array_equal(np.asarray(ours), np.asarray(real))


def test_as_train_of_pngs_is_png_and_of_others_is_refused(tmp_path):
    assert like_real(real_set(tmp_path / "png", [("png", {})]), 16).format == "png"
    with pytest.raises(ParamsError, match=r"most files of .* are BMP"):
        like_real(real_set(tmp_path / "bmp", [("bmp", {})]), 16)


def test_a_file_of_another_maker_tells_nothing():
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="JPEG", comment=b"made by hand")
    assert metadata_in(buffer.getvalue(), "here") is None
