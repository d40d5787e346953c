"""Data Docs that can be read without a network: their pages want style sheets and scripts of CDNs.

Remote style sheets, scripts and pictures are taken out, a small style takes their place, and the
index, which is an empty table without its scripts, is written anew.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from synthgap.validation.rules import ExpectationRule, Kind

if TYPE_CHECKING:
    import pandas as pd


STYLE = """<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#222}
nav ol,.ge-navigation-sidebar-content{display:flex;flex-wrap:wrap;gap:.2rem .9rem;padding:0}
nav ol,nav ul{list-style:none} h4,h5,h6{margin:.9rem 0 .2rem}
table{border-collapse:collapse;margin:.4rem 0;width:100%}
td,th{padding:.25rem .7rem;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}
.text-success,.passed{color:#17803d} .text-danger,.failed{color:#b3261e}
i.fa-check-circle::before{content:"passed"} i.fa-times::before{content:"failed"}
i.fa-exclamation-triangle::before{content:"could not be evaluated"}
.badge{background:#eee;border-radius:3px;padding:0 .3rem;font-family:monospace}
.popover,.cooltip .top,.btn-group,.card-text,.card-header,[data-toggle=collapse]{display:none}
footer,.ge-walkthrough-modal{display:none}
</style>"""
_REMOTE = re.compile(
    r'<link[^>]*href="https?://[^>]*>|<script[^>]*src="https?://[^>]*>\s*</script>'
    r'|<img[^>]*src="https?://[^>]*>|<script>.*?</script>',
    re.DOTALL,
)


def readable_offline(site: Path, title: str, whole: Mapping[str, Any]) -> None:
    """Make the pages in `site` stand alone and give them an index of what the gate found."""
    for page in site.rglob("*.html"):
        text = _REMOTE.sub("", page.read_text(encoding="utf-8"))
        page.write_text(text.replace("</head>", f"{STYLE}</head>", 1), encoding="utf-8")
    (site / "index.html").write_text(_index(site, title, whole), encoding="utf-8")


def page_name(set_name: str) -> str:
    """A suite's name: Great Expectations would make folders of the dot in `g7.5`."""
    return set_name.replace(".", "_")


def _index(site: Path, title: str, whole: Mapping[str, Any]) -> str:
    rows = "\n".join(_row(site, name, word) for name, word in whole["sets"].items())
    failed = whole["num_failed"]
    outcome = f"{failed} of {whole['num_expectations']} expectations failed" if failed else "passed"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}: the gate</title>{STYLE}</head>
<body><h2>{escape(title)}: the gate <span class="{_colour(failed)}">{outcome}</span></h2>
<table><thead><tr><th>image set</th><th>kind</th><th>images</th><th>expectations</th>
<th>outcome</th><th>suite</th></tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def _row(site: Path, name: str, word: Mapping[str, Any]) -> str:
    page = next((site / "validations" / page_name(name)).rglob("*.html")).relative_to(site)
    broken = [entry for entry in word["expectations"] if not entry["passed"]]
    failures = "".join(
        f"<br>{escape(entry['text'])}: {escape(', '.join(entry['examples']))}" for entry in broken
    )
    outcome = f"{len(broken)} failed" if broken else "passed"
    return (
        f'<tr><td><a href="{quote(page.as_posix())}">{escape(name)}</a></td><td>{word["kind"]}</td>'
        f"<td>{word['num_images']}</td><td>{len(word['expectations'])}</td>"
        f'<td><span class="{_colour(len(broken))}">{outcome}</span>{failures}</td>'
        f'<td><a href="expectations/{quote(page_name(name))}.html">expectations</a></td></tr>'
    )


def _colour(failed: int) -> str:
    return "failed" if failed else "passed"


EXAMPLES = 20  # offending rows that Great Expectations reports for one expectation


@dataclass(frozen=True)
class ExpectationRequest:
    """One set's rows and what is expected of them."""

    name: str
    frame: pd.DataFrame
    rules: Sequence[ExpectationRule]


@dataclass(frozen=True)
class Outcome:
    """What Great Expectations found for one rule; `result` is its result dictionary."""

    rule: ExpectationRule
    expectation: str  # Great Expectations' own name of it
    passed: bool
    result: Mapping[str, Any]
    problem: str | None  # why it could not be evaluated


def expect(
    questions: Sequence[ExpectationRequest], *, title: str, site: Path
) -> dict[str, list[Outcome]]:
    """Evaluate every question, one suite a set, and write the Data Docs into the folder `site`."""
    with _quietly():
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context: Any = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        for name in list(context.get_site_names()):
            context.delete_data_docs_site(name)
        context.add_data_docs_site(site_name=title, site_config=_site(site))
        source = context.data_sources.add_pandas(title)
        found = {question.name: _ask(context, source, question) for question in questions}
        context.build_data_docs(site_names=[title])
    return found


def _ask(context: Any, source: Any, question: ExpectationRequest) -> list[Outcome]:  # noqa: ANN401 - GX's own
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier

    page = page_name(question.name)
    asset = source.add_dataframe_asset(question.name)
    suite = gx.ExpectationSuite(page, expectations=_expectations(question.rules))
    definition = gx.ValidationDefinition(
        name=page,
        data=asset.add_batch_definition_whole_dataframe("images"),
        suite=context.suites.add(suite),
    )
    found = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": question.frame},
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": EXAMPLES,
            "unexpected_index_column_names": ["path"],
        },
        run_id=RunIdentifier(run_name="gate"),
    )
    return _outcomes(question.rules, found.results)


def _expectations(rules: Sequence[ExpectationRule]) -> list[Any]:
    import great_expectations.expectations

    core: Any = great_expectations.expectations
    kinds: Mapping[Kind, Any] = {
        "exists": core.ExpectColumnToExist,
        "type": core.ExpectColumnValuesToBeOfType,
        "not_null": core.ExpectColumnValuesToNotBeNull,
        "null": core.ExpectColumnValuesToBeNull,
        "between": core.ExpectColumnValuesToBeBetween,
        "in_set": core.ExpectColumnValuesToBeInSet,
        "unique": core.ExpectColumnValuesToBeUnique,
        "holds": core.ExpectColumnDistinctValuesToContainSet,
        "mean": core.ExpectColumnMeanToBeBetween,
    }
    return [
        kinds[rule.kind](
            column=rule.column,
            description=rule.text,
            meta={"rule": index},
            # A share of exactly so much passes, whatever the last bit of the division.
            **({"mostly": max(0.0, 1 - rule.share - 1e-9)} if rule.share else {}),
            **rule.options,
        )
        for index, rule in enumerate(rules)
    ]


def _outcomes(rules: Sequence[ExpectationRule], results: Sequence[Any]) -> list[Outcome]:
    """Put results, which come back grouped by column, into the order of the rules."""
    ordered = sorted(results, key=lambda result: int(result.expectation_config.meta["rule"]))
    assert len(ordered) == len(rules), "Great Expectations answered another number of questions"
    return [
        Outcome(
            rule=rule,
            expectation=result.expectation_config.type,
            passed=bool(result.success),
            result=result.result or {},
            problem=_problem(result.exception_info),
        )
        for rule, result in zip(rules, ordered, strict=True)
    ]


def _problem(info: Mapping[str, Any] | None) -> str | None:
    """Great Expectations nests exceptions one level deeper for metrics than for expectations."""
    for entry in (info, *(info or {}).values()):
        if isinstance(entry, Mapping) and entry.get("raised_exception"):
            return str(entry.get("exception_message")).splitlines()[0]
    return None


def _site(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder.resolve()),
        },
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


@contextmanager
def _quietly() -> Iterator[None]:
    """No analytics, and none of its warnings: they tell its developers, not our readers."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
