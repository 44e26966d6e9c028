"""`python -m admin graph`: puts the picture into the page, or says whether it is in step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from admin.errors import CHECK_FAILED, AdminError
from admin.graph.mermaid import flowchart
from admin.graph.model import graph as graph_of
from admin.graph.record import record
from admin.stack import REPO

PAGE = REPO / "docs" / "architecture.md"
BEGIN = "<!-- made by `python -m admin graph`; do not edit -->"
END = "<!-- end of what is made -->"


def graph(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if the page is not in step.")
    ] = False,
    page: Annotated[Path, typer.Option(help="The page with the two markers.")] = PAGE,
) -> None:
    """Draw the program's components and resources into docs/architecture.md. Needs no engine, cluster or secret."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise AdminError(f"{page}: {error.strerror}; name the page with --page.") from error
    new = with_picture(text, flowchart(graph_of(record(REPO))), page.name)
    if new == text:
        typer.echo(f"{page.name} is in step")
    elif check:
        typer.echo(f"{page.name} is not in step: run `python -m admin graph`", err=True)
        raise typer.Exit(CHECK_FAILED)
    else:
        page.write_text(new, encoding="utf-8")
        typer.echo(f"{page.name} has a new picture")


def with_picture(text: str, diagram: str, name: str = "the page") -> str:
    """Return a page with `diagram` between its markers. Raises AdminError unless it has each of them once, in order."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise AdminError(f"{name} needs the lines {BEGIN} and {END}, each once and in this order.")
    return f"{before}{BEGIN}\n\n```mermaid\n{diagram}```\n\n{END}{after}"
