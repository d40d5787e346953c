"""Data Docs that can be read without a network: their pages want style sheets and scripts of CDNs.

Remote style sheets, scripts and pictures are taken out, a small style takes their place, and the
index, which is an empty table without its scripts, is written anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

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
    told = "".join(
        f"<br>{escape(entry['text'])}: {escape(', '.join(entry['examples']))}" for entry in broken
    )
    outcome = f"{len(broken)} failed" if broken else "passed"
    return (
        f'<tr><td><a href="{quote(page.as_posix())}">{escape(name)}</a></td><td>{word["kind"]}</td>'
        f"<td>{word['num_images']}</td><td>{len(word['expectations'])}</td>"
        f'<td><span class="{_colour(len(broken))}">{outcome}</span>{told}</td>'
        f'<td><a href="expectations/{quote(page_name(name))}.html">expectations</a></td></tr>'
    )


def _colour(failed: int) -> str:
    return "failed" if failed else "passed"
