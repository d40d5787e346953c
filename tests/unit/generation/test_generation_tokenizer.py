import pytest

from synthgap.errors import GeneratorError
from synthgap.generation.prompts.tokenizer import (
    BEGIN,
    END,
    check_prompts,
    fill,
    make_tokenizer,
    tokens,
)

ODD = ("0", "snow_leopard", "don't", "C++", "Saint-Émilion (red)", "玉ねぎ", "a", "A", "🦊", "%")


def captions(*names):
    return {name: fill("a picture of {class}", name) for name in names}


def test_underscores_are_spaces_in_prompts():
    assert fill("a photo of a {class}", "snow_leopard") == "a photo of a snow leopard"


def test_odd_class_names_survive_the_tokenizer_and_a_round_trip(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = make_tokenizer(captions(*ODD))
    tokenizer.save_pretrained(tmp_path)
    kept = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokens(tokenizer, list(captions(*ODD).values()))
    assert len({tuple(row) for row in ids.tolist()}) == len(ODD)
    assert tokenizer.unk_token_id not in ids
    assert kept(captions(*ODD)["C++"]).input_ids == tokenizer(captions(*ODD)["C++"]).input_ids


def test_captions_are_framed_and_padded_like_clips():
    tokenizer = make_tokenizer(captions("0", "snow_leopard"))
    words = tokenizer.convert_ids_to_tokens(tokens(tokenizer, ["0"])[0].tolist())
    assert words == [BEGIN, "0", *[END] * (tokenizer.model_max_length - 2)]


@pytest.mark.parametrize("names", [("a_b", "a b"), ("x", "_")])
def test_captions_that_cannot_be_told_apart_are_refused(names):
    with pytest.raises(GeneratorError, match="rename the class folder"):
        make_tokenizer({name: fill("{class}", name) for name in names})


def test_several_captions_a_class_share_one_vocabulary_and_the_longest_ones_length():
    captions = {"0": ["a 0", "0, one closed loop"], "1": ["a 1", "1, one line"]}
    tokenizer = make_tokenizer(captions)
    assert tokenizer.model_max_length == 7
    assert not check_prompts(
        tokenizer, [*captions["0"], *captions["1"], "a closed line"], place="here"
    )


@pytest.mark.parametrize("other", [["a 1", "one loop"], ["one loop"], ["one  loop", "a 1"]])
def test_every_caption_must_tell_its_class_from_every_other(other):
    with pytest.raises(GeneratorError, match=r"class '1': its caption .* like one of class '0'"):
        make_tokenizer({"0": ["a 0", "one loop", "one loop"], "1": other})


def test_an_untrained_word_is_refused_and_a_long_prompt_is_named():
    tokenizer = make_tokenizer(captions("0"))
    with pytest.raises(GeneratorError, match=r"here: 'a sketch of 0'.*'picture'"):
        check_prompts(tokenizer, ["a sketch of 0"], place="here")
    long = "a picture of 0 of 0"
    assert check_prompts(tokenizer, ["0", long], place="here") == [long]
