"""The door to Great Expectations: rules become suites, suites become outcomes and Data Docs."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgap.validation.docs import page_name
from synthgap.validation.rules import Kind, Rule

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 20  # offending rows that Great Expectations reports for one expectation


@dataclass(frozen=True)
class Question:
    """One set's rows and what is expected of them."""

    name: str
    frame: pd.DataFrame
    rules: Sequence[Rule]


@dataclass(frozen=True)
class Outcome:
    """What Great Expectations found for one rule; `result` is its result dictionary."""

    rule: Rule
    expectation: str  # Great Expectations' own name of it
    passed: bool
    result: Mapping[str, Any]
    problem: str | None  # why it could not be evaluated


def expect(questions: Sequence[Question], *, title: str, site: Path) -> dict[str, list[Outcome]]:
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


def _ask(context: Any, source: Any, question: Question) -> list[Outcome]:  # noqa: ANN401 - GX's own
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


def _expectations(rules: Sequence[Rule]) -> list[Any]:
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


def _outcomes(rules: Sequence[Rule], results: Sequence[Any]) -> list[Outcome]:
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
