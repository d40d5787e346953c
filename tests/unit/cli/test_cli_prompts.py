from __future__ import annotations

import shutil

import pytest
from borrowed_case import save_captioner, save_images, save_writer

from synthgap.cli import main
from synthgap.data.image_set import write_manifest
from synthgap.generation.prompts.prompt_files import read_captions
from synthgap.generation.prompts.tokenizer import make_tokenizer

DIGITS = [str(digit) for digit in range(10)]
COLUMNS = {"path": [], "label": [], "sha256": []}


@pytest.fixture
def root(checkout, tmp_path, monkeypatch):
    """A checkout with the shipped parameters and words, and a `train` that has no images."""
    for name in ("params.yaml", "prompts"):
        source = checkout / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    train = tmp_path / "artifacts" / "sets" / "digits" / "train"
    train.mkdir(parents=True)
    write_manifest(train, kind="real", classes=DIGITS, columns=COLUMNS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def with_generator(root, captions):
    """What the generator's folder holds of its tokenizer."""
    folder = root / "artifacts" / "generator" / "digits"
    make_tokenizer(captions).save_pretrained(folder / "tokenizer")
    (folder / "model_index.json").write_text("{}")


def stdout_of(capsys, *arguments) -> list[str]:
    assert main(["prompts", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys, *arguments) -> str:
    assert main(["prompts", *arguments]) == 1
    return capsys.readouterr().err


def test_before_there_is_a_generator_words_are_counted(root, capsys):
    lines = stdout_of(capsys, "show", "--scheme", "definition")
    assert "words are counted: artifacts/generator/digits is not there yet" in lines[0]
    assert lines[1:3] == ["0", "     4  0, one closed loop"]
    assert lines[-1] == "10 prompts: 0 cut short, 0 with unknown words"


def test_tokens_are_the_generators_and_what_it_cannot_read_is_told(root, capsys):
    with_generator(root, {name: [f"{name}, one closed loop", f"digit {name}"] for name in DIGITS})
    lines = stdout_of(capsys, "show", "--image-set", "g2.0-definition", "--per-class", "1")
    assert lines[0].startswith("definition: 10 classes; tokens are those of ")
    assert lines[0].endswith("which reads at most 7 (tokenizer)")
    assert lines[1:3] == ["0", "     7  0, one closed loop"]
    at = lines.index("9")
    assert lines[at + 1] == "     9  9, closed loop above straight line"
    assert lines[at + 2] == "     !  tokenizer reads 7 of 9 tokens, not 'straight line'"
    assert lines[at + 3] == "     !  tokenizer does not know above, straight, line"
    assert lines[-1] == "10 prompts: 5 cut short, 9 with unknown words"


def test_a_scheme_that_varies_shows_so_many_prompts(root, capsys):
    one, four = (stdout_of(capsys, "show", "--scheme", "templates", "--per-class", n) for n in "14")
    assert (len(one), len(four)) == (1 + 10 * 2 + 1, 1 + 10 * 5 + 1)
    assert set(one) - {one[-1]} <= set(four)


def test_a_rival_that_reads_no_text_is_told(root, capsys):
    folder = root / "artifacts" / "rivals" / "digits" / "dit"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    assert "reads no text" in stdout_of(capsys, "show", "--image-set", "dit-g2.0")[0]
    assert "'gan' is no rival" in refused(capsys, "show", "--image-set", "gan-g2.0")
    assert "no synthetic set" in refused(capsys, "show", "--image-set", "train")


def test_a_model_writes_files_that_the_scheme_reads(root, capsys):
    save_images(root / "artifacts" / "sets" / "digits" / "train", 4)
    model, out = ("--model", str(save_captioner(root / "blip"))), root / "said.jsonl"
    assert stdout_of(capsys, "caption", *model, "--out", "said.jsonl", "--max-tokens", "4") == [
        "said.jsonl: 4 captions; name it in prompts.captions"
    ]
    assert {name: len(text) for name, text in read_captions(out, ["0", "1"]).items()} == {
        "0": 2,
        "1": 2,
    }
    kept = out.read_bytes()
    assert "said.jsonl exists; add --yes" in refused(capsys, "caption", *model, "--out", out.name)
    assert out.read_bytes() == kept
    model = ("--model", str(save_writer(root / "gpt2")))
    options = ("--opening", "a {hypernym} {class}", "--per-class", "2", "--max-tokens", "4")
    (root / "prompts" / "digits" / "classes.yaml").write_text("0: {hypernym: red}\n1: {}\n")
    assert "no hypernym for class 1" in refused(
        capsys, "expand", *model, *options, "--out", out.name, "--yes"
    )
    (root / "prompts" / "digits" / "classes.yaml").write_text(
        "0: {hypernym: red}\n1: {hypernym: sky}"
    )
    stdout_of(capsys, "expand", *model, *options, "--out", out.name, "--yes")
    captions = read_captions(out, ["0", "1"])
    assert all(text.startswith("a red 0") for text in captions["0"])
    assert len(set(captions["1"])) == 2


def test_options_that_cannot_be_met_are_told_before_anything_is_opened(root, capsys):
    model = ("--model", "nowhere", "--out", "said.jsonl")
    assert "expected a file .jsonl" in refused(capsys, "caption", *model[:3], "said.txt")
    assert "nowhere: no such folder" in refused(capsys, "caption", *model)
    text = refused(capsys, "expand", *model, "--opening", "{class} in {background}")
    assert "--opening" in text
    assert "{background} stands for nothing" in text
    with pytest.raises(SystemExit):
        main(["prompts", "caption", *model, "--image-set", "test"])
