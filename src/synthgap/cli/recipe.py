"""`synthgap recipe`: which experiments there are, and params.yaml set to one of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from synthgap.errors import ParamsError
from synthgap.jobs import whole_file

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

RECIPES = Path("recipes")
PARAMS = Path("params.yaml")


def add_parser(subparsers: Subparsers) -> None:
    """Add `recipe list | show | use`."""
    recipe = subparsers.add_parser(
        "recipe",
        help="list, show and choose experiments",
        description="A recipe is an experiment: params.yaml's values for one dataset, and where "
        "they come from.",
        epilog="examples:\n  synthgap recipe list\n  synthgap recipe show mtg_pets\n"
        "  synthgap recipe use folder",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = recipe.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="name every recipe, one line each")
    listing.set_defaults(run=_list)
    show = actions.add_parser("show", help="print a recipe: its paper, what it needs, what it sets")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(run=_show)
    use = actions.add_parser(
        "use", help="set params.yaml to a recipe; comments of yours stay, values do not"
    )
    use.add_argument("name", metavar="NAME")
    use.set_defaults(run=_use)


def _list(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - every command is called alike
    from synthgap.params.recipes import opening_comment, recipe_names, recipe_text

    for name in recipe_names(RECIPES):
        title = opening_comment(recipe_text(RECIPES, name)).partition("\n")[0]
        print(f"{name:<20}{title.removeprefix(f'# {name}:').strip('# ')}")  # noqa: T201
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from synthgap.params.recipes import recipe_text

    print(recipe_text(RECIPES, arguments.name), end="")  # noqa: T201
    return 0


def _use(arguments: argparse.Namespace) -> int:
    from synthgap.params.recipes import applied, opening_comment, recipe_text

    about = opening_comment(recipe_text(RECIPES, arguments.name))
    text, changes = applied(_params_text(arguments.name), RECIPES, arguments.name)
    with whole_file(PARAMS) as partial:
        partial.write_text(text, encoding="utf-8")
    for change in changes:
        print(change)  # noqa: T201
    print(f"{PARAMS} is {arguments.name}, {len(changes)} values changed")  # noqa: T201
    print(f"\n{about}", end="")  # noqa: T201
    return 0


def _params_text(name: str) -> str:
    """The text to change: params.yaml, or the complete recipe where there is none."""
    from synthgap.params.recipes import resolve

    try:
        return PARAMS.read_text(encoding="utf-8")
    except FileNotFoundError:
        return resolve(RECIPES, name)
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(
            f"{PARAMS}: unreadable ({error}); expected text, mend or remove it"
        ) from error
