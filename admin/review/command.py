"""`python -m admin review`: runs a preview and writes the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from admin.errors import AdminError
from admin.review import engine
from admin.review.model import Preview, read_preview
from admin.review.page import page
from admin.review.secrecy import Scrubber
from admin.stack import REPO, PulumiStack

PREVIEW_FAILED = 1
REFUSED = 3
"""What --fail-on-replace and --fail-on-delete exit with; 2 is the command line's own."""


def review(
    stack: Annotated[str, typer.Option(help="The stack, as `pulumi stack ls` shows it.")],
    output: Annotated[Path | None, typer.Option(help="File for the Markdown; else standard output.")] = None,
    program: Annotated[Path, typer.Option(help="Folder of the program.")] = REPO,
    from_json: Annotated[
        Path | None, typer.Option("--from", help="A saved `pulumi preview --json` instead of a new preview.")
    ] = None,
    fail_on_replace: Annotated[
        bool,
        typer.Option(
            "--fail-on-replace", help="Exit with 3 if anything is replaced, autonamed objects aside."
        ),
    ] = False,
    fail_on_delete: Annotated[
        bool, typer.Option("--fail-on-delete", help="Exit with 3 if anything is deleted, kept objects aside.")
    ] = False,
) -> None:
    """Turn `pulumi preview` into Markdown for a pull request. Exit code 0: the preview ran; 1: an update would fail."""
    source = PulumiStack(stack, program)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if from_json:
        preview = _saved(from_json, source)
    else:
        console.print(f"pulumi preview of stack {stack} ...", markup=False)
        preview = engine.preview(source)
    text = page(preview)
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        typer.echo(text, nl=False)
    if preview.failed:
        raise typer.Exit(PREVIEW_FAILED)
    refused = refusals(preview, replace=fail_on_replace, delete=fail_on_delete)
    for line in refused:
        console.print(line, markup=False)
    if refused:
        raise typer.Exit(REFUSED)


def refusals(preview: Preview, *, replace: bool, delete: bool) -> list[str]:
    """Return a line for each step that the flags do not let pass.

    What the provider names by itself may be replaced: the new one is there before the old one goes, and being replaced
    is how it changes (profile code, Jobs).
    """
    lines = []
    if replace:
        lines += [f"would be replaced: {step.urn}" for step in preview.of("replace") if not step.autonamed]
    if delete:
        lines += [f"would be deleted: {step.urn}" for step in preview.of("delete") if not step.kept]
    return lines


def _saved(file: Path, stack: PulumiStack) -> Preview:
    try:
        document = engine.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdminError(f"{file}: {error}; save one with `pulumi preview --json > FILE`") from error
    return read_preview(document, stack.name, Scrubber(engine.known_secrets(stack)))
