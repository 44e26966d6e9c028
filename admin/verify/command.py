"""The command `verify`: options, progress, the table or JSON, and the exit code."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from admin.stack import PulumiStack
from admin.verify.checks import chosen
from admin.verify.context import Options, open_context
from admin.verify.model import Check, Finding, Result
from admin.verify.runner import exit_code, run_checks

COLOURS = {
    Result.OK: "green",
    Result.WARNING: "yellow",
    Result.SKIPPED: "dim",
    Result.NOT_CHECKED: "red",
    Result.FAILED: "bold red",
}


def verify(
    stack: Annotated[str, typer.Option(help="Pulumi stack to verify.")],
    only: Annotated[
        str,
        typer.Option(
            help="Codes or beginnings of codes by comma, e.g. V-TLS,V-HUB-03; what they need runs too."
        ),
    ] = "",
    server: Annotated[bool, typer.Option(help="Start one throw-away notebook server.")] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the table.")
    ] = False,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds for the whole run.")] = 600,
    warn_days: Annotated[int, typer.Option(help="Warn when the certificate ends in fewer days.")] = 21,
    fail_days: Annotated[int, typer.Option(help="Fail when the certificate ends in fewer days.")] = 3,
) -> None:
    """Prove that a deploy works. Exit code: 0 all is well, 1 a check failed, 2 the checks could not be run."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=140)  # a log has room
    progress = Console(stderr=True, highlight=False)
    checks = chosen(only)
    signal.signal(signal.SIGTERM, _interrupt)  # so that a stopped CI job cleans up as Ctrl-C does
    with progress.status(f"Reading stack {escape(stack)}") if progress.is_terminal else nullcontext():
        context = open_context(PulumiStack(stack), Options(server, warn_days, fail_days), deadline)

    def ended(finding: Finding) -> None:
        colour = COLOURS[finding.result]
        progress.print(
            f"[{colour}]{finding.result.value:11}[/] {finding.code:15} {escape(finding.title)}"
            f"  [dim]{finding.seconds:.1f} s[/dim]",
            soft_wrap=True,
        )

    def started(check: Check) -> None:
        if progress.is_terminal:
            progress.print(f"[dim]{check.code} ...[/dim]", end="\r")

    findings = run_checks(checks, context, started=started, ended=ended)
    if as_json:
        typer.echo(json.dumps(as_data(stack, context.url, findings), indent=2))
    else:
        out.print(table(findings))
        out.print(summary(findings), soft_wrap=True)
    raise typer.Exit(exit_code(findings))


def as_data(stack: str, url: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The JSON document: stack, url, ok, and a list of checks."""
    return {
        "stack": stack,
        "url": url,
        "ok": exit_code(findings) == 0,
        "checks": [
            {**asdict(finding), "result": finding.result.value, "seconds": round(finding.seconds, 2)}
            for finding in findings
        ],
    }


def table(findings: Sequence[Finding]) -> Table:
    """A row per check; reason and remedy below what was seen."""
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    rows.add_column("code", no_wrap=True)
    rows.add_column("check")
    rows.add_column("result", no_wrap=True)
    rows.add_column("seen, reason, remedy", overflow="fold")
    for finding in findings:
        texts = [finding.seen, finding.reason, f"-> {finding.remedy}" if finding.remedy else ""]
        rows.add_row(
            finding.code,
            escape(finding.title),
            f"[{COLOURS[finding.result]}]{finding.result.value}[/]",
            escape("\n".join(text for text in texts if text)),
        )
    return rows


def summary(findings: Sequence[Finding]) -> str:
    """One line: how many of each."""
    counts = Counter(finding.result for finding in findings)
    return ", ".join(f"{counts[result]} {result.value}" for result in Result if counts[result])


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
