from dataclasses import replace

import pytest

from synthgap.reporting.layer_numbers import LayerNumbers, layer_sentences
from synthgap.reporting.layer_section import layers_section, similarity_figure

UNITS = ("stem", "block", "fc")


def _layers(across, same, probes, units=UNITS):
    cka = [
        {"pair": pair, "unit": unit, "value": value}
        for pair, levels in {"real~synthetic": across, "real~real": same}.items()
        for unit, values in zip(units, levels, strict=True)
        for value in values
    ]
    probed = [
        {"source": source, "unit": unit, "top1": value}
        for source, levels in probes.items()
        for unit, values in zip(units, levels, strict=True)
        for value in values
    ]
    content = {"units": units, "cka": cka, "probes": probed, "matrix": {}}
    images = {"cka": 9, "probe_train": 9, "probe_test": 9}
    return LayerNumbers.of({**content, "guidance_scale": 2.0, "images": images})


def _flat(*means):
    return [(mean - 0.01, mean + 0.01) for mean in means]


SAME = {"real": _flat(60, 80, 90), "synthetic": _flat(60, 80, 90)}


def test_the_unit_from_which_on_students_part_is_named():
    found = _layers(_flat(0.98, 0.7, 0.5), _flat(0.98, 0.9, 0.8), SAME)
    assert layer_sentences(found)[0].startswith("From block (unit 2 of 3) on, the CKA ")
    assert "0.70 there, 0.50 after the last unit" in layer_sentences(found)[0]


def test_a_unit_that_is_apart_alone_is_no_beginning():
    found = _layers(_flat(0.7, 0.9, 0.5), _flat(0.98, 0.9, 0.8), SAME)
    assert layer_sentences(found)[0].startswith("From fc (unit 3 of 3) on")


def test_students_that_agree_as_real_ones_do_are_said_to():
    found = _layers(_flat(0.98, 0.9, 0.8), _flat(0.98, 0.9, 0.8), SAME)
    assert "is not below" in layer_sentences(found)[0]
    assert "do not lie below" in layer_sentences(found)[1]


def test_probes_part_where_every_seed_says_so():
    probes = {"real": _flat(60, 80, 90), "synthetic": [(50, 70), (70, 81), (70, 75)]}
    found = _layers(_flat(0.9, 0.9, 0.9), _flat(0.9, 0.9, 0.9), probes)
    assert layer_sentences(found)[1].startswith(
        "From fc (unit 3 of 3) on, probes of every synthetic"
    )
    assert "72.5 against 90.0 % after the last unit" in layer_sentences(found)[1]


def test_the_best_place_to_read_a_class_is_named_with_what_is_lost_after_it():
    probes = {"real": _flat(60, 80, 90), "synthetic": _flat(60, 85, 70)}
    sentences = layer_sentences(_layers(_flat(0.9, 0.9, 0.9), _flat(0.9, 0.9, 0.9), probes))[-1]
    assert "the real-trained student after fc (unit 3 of 3), 90.0 %;" in sentences
    assert "after block (unit 2 of 3), 85.0 %, 15.0 points above its last unit" in sentences


@pytest.mark.parametrize("gone", ["real~real", "real~synthetic"])
def test_one_seed_has_no_pair_to_be_held_against(summary, gone):
    cka = {pair: rows for pair, rows in summary.layers.cka.items() if pair != gone}
    sentences = layer_sentences(replace(summary.layers, cka=cka))
    assert not [text for text in sentences if "CKA" in text]


def test_a_unit_that_tells_no_images_apart_is_left_out():
    across = [(0.9,), (None,), (0.5,)]
    found = _layers(across, _flat(0.9, 0.9, 0.8), SAME)
    assert found.cka["real~synthetic"][1] == ()
    assert layer_sentences(found)[0].startswith("From fc (unit 3 of 3) on")


def test_many_units_fit_into_the_heat_map(summary):
    units = tuple(f"stages.{index}.blocks.0" for index in range(18))
    matrix = [[0.5] * 18 for _ in units]
    found = replace(summary.layers, units=units, matrices={"real~synthetic": matrix})
    drawing = similarity_figure(summary, found)
    assert drawing is not None
    assert drawing.png.startswith(b"\x89PNG")


def test_layers_that_were_not_measured_are_said_so(summary):
    section = layers_section(replace(summary, layers=None))
    assert "not run" in section.blocks[0].html()


def test_what_the_made_up_layers_say_stands_in_the_section(summary):
    text = "".join(block.html() for block in layers_section(summary).blocks)
    assert "From layer1.0 (unit 2 of 6) on" in text
    assert text.count("<svg") == 2
