"""What a report is made of; every block renders itself as HTML and as Markdown.

All text that comes from data passes through `escape` on its way into HTML.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol, Self
from urllib.parse import quote

from synthgap.reporting.drawing import ReportFigure

NOT_RUN = "not run"


class Block(Protocol):
    """One piece of a section."""

    def html(self) -> str:
        """Render for the page."""
        ...

    def markdown(self) -> str:
        """Render for report.md."""
        ...


@dataclass(frozen=True)
class Text:
    """A paragraph; `quiet` for captions and reading help."""

    text: str
    quiet: bool = False

    def html(self) -> str:
        """Render as a paragraph."""
        return f"<p{' class=quiet' if self.quiet else ''}>{escape(self.text)}</p>"

    def markdown(self) -> str:
        """Render as a paragraph."""
        return _escaped(self.text)


@dataclass(frozen=True)
class Heading:
    """A title inside a section."""

    text: str

    def html(self) -> str:
        """Render one step below a section's own title."""
        return f"<h4>{escape(self.text)}</h4>"

    def markdown(self) -> str:
        """Render one step below a section's own title."""
        return f"#### {_escaped(self.text)}"


@dataclass(frozen=True)
class BulletList:
    """A list of sentences."""

    items: Sequence[str]
    kind: str = "points"

    def html(self) -> str:
        """Render as a list."""
        items = "".join(f"<li>{escape(item)}</li>" for item in self.items)
        return f'<ul class="{self.kind}">{items}</ul>'

    def markdown(self) -> str:
        """Render as a list."""
        return "\n".join(f"- {_escaped(item)}" for item in self.items)


@dataclass(frozen=True)
class TableBlock:
    """Cells of text; the first `num_names` columns are names, the others numbers."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_names: int = 1
    caption: str = ""

    def html(self) -> str:
        """Render as a table that scrolls inside itself where the page is narrow."""
        if not self.rows:
            return f'<p class="missing">{NOT_RUN}</p>'
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        head = "".join(
            f'<th scope="col"{self._kind(index)}>{escape(name)}</th>'
            for index, name in enumerate(self.headers)
        )
        body = "".join(f"<tr>{self._cells(row)}</tr>" for row in self.rows)
        table = f"{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        return f'<div class="scroll"><table>{table}</table></div>'

    def markdown(self) -> str:
        """Render as a pipe table."""
        if not self.rows:
            return f"*{NOT_RUN}*"
        rule = [":---" if index < self.num_names else "---:" for index in range(len(self.headers))]
        lines = [self.headers, rule, *self.rows]
        text = "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)
        return f"{_escaped(self.caption)}\n\n{text}" if self.caption else text

    def _cells(self, row: Sequence[str]) -> str:
        return "".join(
            f"<td{self._kind(index)}>{escape(cell)}</td>" for index, cell in enumerate(row)
        )

    def _kind(self, index: int) -> str:
        return ' class="name"' if index < self.num_names else ""


@dataclass(frozen=True)
class FigureBlock:
    """A figure, inlined as SVG on the page and linked as a PNG file from Markdown."""

    drawing: ReportFigure | None
    caption: str
    path: str  # of the PNG, relative to the report

    @classmethod
    def of(cls, recipe: str, drawing: ReportFigure | None, caption: str) -> Self:
        """Place a recipe's drawing where its kind says."""
        return cls(drawing, caption, f"figures/{recipe}/{drawing.kind}.png" if drawing else "")

    def html(self) -> str:
        """Render as a figure."""
        if self.drawing is None:
            return f'<p class="missing">{NOT_RUN}</p>'
        caption = f"<figcaption>{escape(self.caption)}</figcaption>"
        return f'<figure class="{self.drawing.kind}">{self.drawing.svg}{caption}</figure>'

    def markdown(self) -> str:
        """Render as an image link."""
        if self.drawing is None:
            return f"*{NOT_RUN}*"
        return f"![{_escaped(self.drawing.alt)}]({quote(self.path)})\n\n{_escaped(self.caption)}"


@dataclass(frozen=True)
class ImageBlock:
    """A PNG made elsewhere, inlined on the page."""

    png: bytes | None
    alt: str
    caption: str
    path: str

    def html(self) -> str:
        """Render as a figure with its bytes inside."""
        if self.png is None:
            return f'<p class="missing">{NOT_RUN}</p>'
        source = f"data:image/png;base64,{b64encode(self.png).decode()}"
        image = f'<img src="{source}" alt="{escape(self.alt)}">'
        return (
            f'<figure class="photo">{image}<figcaption>{escape(self.caption)}</figcaption></figure>'
        )

    def markdown(self) -> str:
        """Render as an image link."""
        if self.png is None:
            return f"*{NOT_RUN}*"
        return f"![{_escaped(self.alt)}]({quote(self.path)})\n\n{_escaped(self.caption)}"


@dataclass(frozen=True)
class FoldedBlocks:
    """Blocks behind a click; printed open."""

    title: str
    blocks: Sequence[Block]

    def html(self) -> str:
        """Render as a disclosure."""
        inside = "".join(block.html() for block in self.blocks)
        return f"<details><summary>{escape(self.title)}</summary>{inside}</details>"

    def markdown(self) -> str:
        """Render under a bold line."""
        inside = "\n\n".join(block.markdown() for block in self.blocks)
        return f"**{_escaped(self.title)}**\n\n{inside}"


@dataclass(frozen=True)
class Section:
    """A titled part of one recipe's report; `key` makes its anchor."""

    key: str
    title: str
    blocks: Sequence[Block]


def _escaped(text: str) -> str:
    """Keep Markdown from reading structure or HTML into text that comes from data."""
    for mark in ("\\", "|", "`", "*", "_", "["):
        text = text.replace(mark, f"\\{mark}")
    return text.replace("<", "&lt;").replace("\n", " ")
