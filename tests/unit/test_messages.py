"""docs/troubleshooting.md quotes the program's own words: each line that begins with `> ` stands in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from admin.verify.checks import CHECKS

ROOT = Path(__file__).parents[2]
FOLDERS = ("components", "admin", "notebooks-profile", "examples-sync")
BLANK = "…"
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTES = re.findall(r"^> (.+)$", PAGE, flags=re.MULTILINE)


def texts(source: str) -> Iterator[str]:
    """Each text of a Python source, whole (adjacent ones are one already), with BLANK for what is filled in."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else BLANK for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[sd]", BLANK, node.value)


def said() -> str:
    """Everything that the code may say, a text a line."""
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found += [" ".join(text.split()) for text in texts(path.read_text())]
        for path in sorted((ROOT / folder).rglob("*.html")):
            found.append(" ".join(re.sub(r"\{\{.*?\}\}|\{%.*?%\}", BLANK, path.read_text()).split()))
    return "\n".join(found)


SAID = said()


@pytest.mark.parametrize("quote", QUOTES)
def test_quoted_messages_are_in_the_code(quote: str) -> None:
    assert quote in SAID


def test_a_sentence_that_nobody_says_is_found_out() -> None:
    assert "No answer from … for …: no server can be stopped now." not in SAID
    assert len(QUOTES) > 10


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_codes_of_checks_exist(page: Path) -> None:
    """Whole codes, and beginnings of them as `--only` takes them."""
    codes = {check.code for check in CHECKS}
    for mentioned in re.findall(r"V-[A-Z]+(?:-\d\d)?", page.read_text()):
        assert any(code.startswith(mentioned) for code in codes), mentioned
