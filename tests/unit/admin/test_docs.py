"""docs/verify.md and the code tell of the same checks and options."""

from __future__ import annotations

import re
from pathlib import Path

import typer.testing

from admin.cli import app
from admin.verify.checks import CHECKS

PAGE = (Path(__file__).parents[3] / "docs" / "verify.md").read_text()


def test_page_and_code_hold_the_same_codes() -> None:
    documented = re.findall(r"^\| (V-[A-Z]+-\d\d) \|", PAGE, flags=re.MULTILINE)

    assert len(documented) == len(set(documented))
    assert set(documented) == {check.code for check in CHECKS}


def test_every_code_that_is_mentioned_exists() -> None:
    sources = [
        PAGE,
        *(path.read_text() for path in (Path(__file__).parents[3] / "admin" / "verify").glob("*.py")),
    ]
    mentioned = {code for text in sources for code in re.findall(r"V-[A-Z]+-\d\d", text)}

    assert mentioned == {check.code for check in CHECKS}


def test_every_option_is_on_the_page() -> None:
    text = (
        typer.testing.CliRunner()
        .invoke(app, ["verify", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        .output
    )
    options = set(re.findall(r"--[a-z-]+", text)) - {"--help", "--stack", "--server"}

    assert {"--json", "--only", "--no-server", "--deadline", "--warn-days", "--fail-days"} == options
    for option in options:
        assert option in PAGE
