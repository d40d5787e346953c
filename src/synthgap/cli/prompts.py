"""`synthgap prompts show | caption | expand`: what generators are asked, and files of captions."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.errors import ParamsError

if TYPE_CHECKING:
    from synthgap.generation.authoring.token_counts import PromptReader
    from synthgap.generation.prompts.schemes import PromptWriter
    from synthgap.params.sections import Params, SetName

PARAMS = Path("params.yaml")
CAPTIONED = "train"  # captions of other images would let them into the training


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `synthgap prompts` to the command line."""
    parser = subparsers.add_parser(
        "prompts", help="show what a generator is asked; write caption files"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_show(commands)
    _add_caption(commands)
    _add_expand(commands)


def _add_show(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from synthgap.params.synthesis import SCHEMES

    show = commands.add_parser(
        "show",
        help="print the first prompts of every class, with the tokens that the generator reads",
        description="Nothing is sent: this prints what stage `synthesize` would ask for.",
    )
    show.add_argument(
        "--scheme",
        choices=SCHEMES,
        metavar="SCHEME",
        help=f"{' | '.join(SCHEMES)}; default: the set's, or synthesize.scheme",
    )
    show.add_argument("--image-set", metavar="NAME", help="a synthetic set, e.g. g2.0-definition")
    show.add_argument("--per-class", type=_count, default=3, metavar="N", help="default: 3")
    show.set_defaults(run=_show)


def _add_caption(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    caption = commands.add_parser(
        "caption",
        help="let an image captioner describe the real training images",
        description="Writes a file for prompt scheme `captions`: one caption an image of `train`.",
    )
    _add_model(caption)
    caption.add_argument("--image-set", choices=[CAPTIONED], default=CAPTIONED)
    caption.add_argument("--batch", type=_count, default=16, metavar="N", help="default: 16")
    caption.add_argument("--max-tokens", type=_count, default=40, metavar="N", help="default: 40")
    caption.set_defaults(run=_caption)


def _add_expand(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    expand = commands.add_parser(
        "expand",
        help="let a local language model write captions of the classes",
        description="Writes a file for prompt scheme `captions`. Every caption continues the "
        "opening, a template with {class}, {hypernym}, {definition}.",
    )
    _add_model(expand)
    expand.add_argument("--per-class", type=_count, default=20, metavar="N", help="default: 20")
    expand.add_argument("--opening", metavar="TEMPLATE", help="default: a photo of {class}")
    expand.add_argument("--seed", type=int, metavar="N", help="default: seed of params.yaml")
    expand.add_argument("--temperature", type=_above_0, default=1.0, help="default: 1.0")
    expand.add_argument("--top-p", type=_above_0, default=0.95, help="default: 0.95")
    expand.add_argument("--max-tokens", type=_count, default=40, metavar="N", help="default: 40")
    expand.set_defaults(run=_expand)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="FOLDER_OR_HUB_ID")
    parser.add_argument("--revision", metavar="COMMIT", help="of a model on the hub")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .jsonl file")
    parser.add_argument("--yes", action="store_true", help="replace FILE if it is there")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count}, expected at least 1")
    return count


def _above_0(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}, expected above 0")
    return number


def _show(arguments: argparse.Namespace) -> int:
    from synthgap.generation.prompts.schemes import prompt_writer
    from synthgap.params import read_params

    params = read_params(PARAMS)
    named = _set_name(arguments.image_set)
    scheme = arguments.scheme or (named and named.scheme) or params.synthesize.scheme
    writer = prompt_writer(
        scheme, params.prompts, _classes(params), root=Path.cwd(), seed=params.seed
    )
    readers, how = _readers(params, named)
    lines = format_prompts(writer, readers, arguments.per_class)
    print(f"{scheme}: {len(writer.classes)} classes; {how}", *lines, sep="\n")  # noqa: T201
    return 0


def format_prompts(
    writer: PromptWriter, readers: Iterable[PromptReader], per_class: int
) -> Iterable[str]:
    """The first prompts of each class, each once, with what the readers make of them; a total."""
    readers = tuple(readers)
    count, cut, strange = 0, 0, 0
    for label, (name, words) in enumerate(writer.spoken.items()):
        yield name if name == words else f"{name}: {words}"
        for prompt in dict.fromkeys(writer(label, number) for number in range(per_class)):
            readings = [(reader, reader(prompt)) for reader in readers]
            tokens = max((reading.tokens for _, reading in readings), default=len(prompt.split()))
            yield f"  {tokens:4}  {prompt}"
            for reader, reading in readings:
                if reading.unread:
                    limit = f"{reader.limit} of {reading.tokens} tokens"
                    yield f"     !  {reader.name} reads {limit}, not {reading.unread!r}"
                if reading.unknown:
                    yield f"     !  {reader.name} does not know {', '.join(reading.unknown)}"
            count += 1
            cut += any(reading.unread for _, reading in readings)
            strange += any(reading.unknown for _, reading in readings)
    yield f"{count} prompts: {cut} cut short, {strange} with unknown words"


def _set_name(name: str | None) -> SetName | None:
    from synthgap.params.synthesis import FORM, SetName

    if name is None:
        return None
    found = SetName.parse(name)
    if found is None:
        raise ParamsError(
            f"prompts show --image-set: {name!r} is no synthetic set; expected {FORM}"
        )
    return found


def _classes(params: Params) -> tuple[str, ...]:
    from synthgap.data.image_set import ImageSet
    from synthgap.jobs import Artifacts

    return ImageSet.read(Artifacts(Path.cwd(), params.recipe).image_set("train")).classes


def _readers(params: Params, named: SetName | None) -> tuple[tuple[PromptReader, ...], str]:
    """The tokenizers of the set's generator, and a line that says what is counted."""
    from synthgap.generation.authoring.token_counts import pipeline_of, prompt_readers
    from synthgap.jobs import Artifacts

    artifacts = Artifacts(Path.cwd(), params.recipe)
    rival = named.rival if named else None
    if rival is not None and rival not in params.rivals:
        raise ParamsError(
            f"prompts show --image-set: {rival!r} is no rival, expected one of "
            f"{sorted(params.rivals)} (params.yaml, rivals)"
        )
    source = params.generator if rival is None else params.rivals[rival]
    made = artifacts.generator if rival is None else artifacts.stage("rivals") / rival
    if source.kind == "folder":
        return (), "words are counted: samples in a folder were asked for by somebody else"
    folder = pipeline_of(source, artifacts, made)
    if folder is None:
        return (), f"words are counted: {made.relative_to(Path.cwd())} is not there yet"
    readers = prompt_readers(folder)
    limits = ", ".join(f"{reader.limit or 'any number'} ({reader.name})" for reader in readers)
    if not readers:
        return (), f"words are counted: the generator in {folder} reads no text"
    return readers, f"tokens are those of {folder}, which reads at most {limits}"


def _caption(arguments: argparse.Namespace) -> int:
    _check_out(arguments)
    from synthgap.data.image_set import ImageSet
    from synthgap.generation.authoring.borrowed import find_local_model
    from synthgap.generation.authoring.captioning import caption_images
    from synthgap.jobs import Artifacts
    from synthgap.params import read_params

    params = read_params(PARAMS)
    images = ImageSet.read(Artifacts(Path.cwd(), params.recipe).image_set(arguments.image_set))
    borrowed = find_local_model(arguments.model, arguments.revision, root=Path.cwd())
    rows = caption_images(
        borrowed,
        images,
        params.runtime,
        batch=arguments.batch,
        max_tokens=arguments.max_tokens,
    )
    return _written(arguments.out, rows, len(images))


def _expand(arguments: argparse.Namespace) -> int:
    _check_out(arguments)
    from synthgap.generation.authoring.borrowed import find_local_model
    from synthgap.generation.authoring.expanding import OPENING, Expansion, expand_words
    from synthgap.generation.prompts.class_words import class_words
    from synthgap.generation.prompts.wording import places, template_problems
    from synthgap.params import read_params

    opening = arguments.opening or OPENING
    for problem in template_problems(opening, known=("class", "hypernym", "definition")):
        raise ParamsError(f"prompts expand --opening: {opening!r}: {problem}")
    params, root = read_params(PARAMS), Path.cwd()
    words = class_words(params.prompts, _classes(params), root, places([opening]))
    expansion = Expansion(
        opening=opening,
        per_class=arguments.per_class,
        seed=params.seed if arguments.seed is None else arguments.seed,
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
    )
    borrowed = find_local_model(arguments.model, arguments.revision, root=root)
    rows = expand_words(borrowed, words, params.runtime, expansion)
    return _written(arguments.out, rows, arguments.per_class * len(words))


def _check_out(arguments: argparse.Namespace) -> None:
    """Refuse before any model is opened."""
    out: Path = arguments.out
    if out.suffix != ".jsonl":
        raise ParamsError(f"--out: {out}, expected a file .jsonl (JSON lines); rename it")
    if out.exists() and not arguments.yes:
        raise ParamsError(f"--out: {out} exists; add --yes to replace it, or choose another name")


def _written(out: Path, rows: Iterable[Mapping[str, Any]], asked: int) -> int:
    from synthgap.generation.prompts.prompt_files import write_captions

    count = write_captions(out, rows)
    fewer = "" if count == asked else f" of {asked} asked for (the model had no more words)"
    print(f"{out}: {count} captions{fewer}; name it in prompts.captions")  # noqa: T201
    return 0
