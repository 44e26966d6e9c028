"""The report as a whole: first line, table, size."""

from __future__ import annotations

import re

import pytest

from admin.review.model import failure
from admin.review.page import LIMIT, page, verdict
from admin.review.secrecy import Scrubber
from tests.unit.admin.review.builders import document, preview_of, read, recorded, step


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("none", "✅ Stack <code>dev</code>: nothing changes"),
        ("code", "Stack <code>dev</code>: 2 changes (1 updated, 1 replaced): the hub restarts"),
        ("image", "Stack <code>dev</code>: 3 changes (2 updated, 1 replaced): 1 image built"),
        ("group", "Stack <code>dev</code>: 1 change (1 created)"),
        ("size", "Stack <code>dev</code>: 2 changes (2 updated)"),
    ],
)
def test_the_first_line(name: str, line: str) -> None:
    assert verdict(recorded(name)) == line


def test_a_destroy_counts_what_is_kept_apart() -> None:
    line = verdict(recorded("destroy"))
    assert re.search(r"\d+ deleted, 9 kept, but no longer in the stack\): \*\*dangerous", line)


def test_wrong_configuration_is_told_in_the_first_line() -> None:
    text = page(recorded("wrong"))
    head = text.splitlines()[2]
    assert head.startswith("### ❌ Stack <code>dev</code>: the update would fail: ")
    assert "unknown key, did you mean domain&#95;name?" in head
    assert "run `pulumi config rm domain`" in text
    assert "Traceback" not in text


def test_a_preview_that_did_not_begin() -> None:
    text = page(failure("prod", "error: no stack named 'prod' found", Scrubber()))
    assert "the update would fail: no stack named &#39;prod&#39; found" in text.replace("'", "&#39;")


def test_table_rows_are_grouped_by_component_and_have_four_cells() -> None:
    text = page(recorded("image"))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0] == "| component | resource | what happens | why, or from → to |"
    assert all(line.count("|") == 5 for line in rows)
    assert any(
        row.startswith("| NotebookImages | Job <code>images-sync</code> | **replaced** | because of")
        for row in rows
    )


def test_long_texts_are_counted_in_the_table_and_shown_as_a_diff() -> None:
    text = page(recorded("code"))
    assert "text, 2 lines added, 0 removed" in text
    assert "+     # changed" in text
    assert text.count("Licence") == 0


@pytest.mark.parametrize("limit", [2_000, 5_000, LIMIT])
def test_the_report_fits_whatever_the_size_of_the_preview(limit: int) -> None:
    steps = [
        step(
            "update",
            "kubernetes:core/v1:ConfigMap",
            f"thing-{number}",
            old={"data": {"a": "x" * 3000, "b": "ä`|\n" * 500}},
            new={"data": {"a": "y" * 3000, "b": "ö`|\n" * 500}},
            diff=["data.a", "data.b"],
        )
        for number in range(200)
    ]
    text = page(read(*steps), limit)
    assert len(text.encode()) <= limit
    assert text.splitlines()[2].endswith("200 changes (200 updated)")
    assert re.search(r"\d+ more rows left out", text)
    assert text.count("<details>") == text.count("</details>")


def test_a_diff_that_is_cut_says_so() -> None:
    body = "\n".join(f"line {number}" for number in range(20_000))
    text = page(
        read(
            step(
                "update",
                "kubernetes:core/v1:ConfigMap",
                old={"data": {"a": "one\n"}},
                new={"data": {"a": body}},
                diff=["data.a"],
            )
        )
    )
    assert len(text.encode()) <= LIMIT
    assert re.search(r"\.\.\. cut here: \d+ lines more", text)
    assert text.rstrip().endswith("</details>")


def test_errors_do_not_make_it_longer_either() -> None:
    errors = [{"severity": "error", "message": f"error: {number} " + "`" * 900} for number in range(400)]
    from admin.review.model import read_preview

    text = page(read_preview(preview_of(diagnostics=errors), "dev", Scrubber()))
    assert len(text.encode()) <= LIMIT
    assert "lines more" in text


def test_steps_of_one_replacement_are_one_row() -> None:
    """The engine's event stream tells a replacement in three steps, its JSON in one."""
    whole = document("code")
    (replaced,) = [item for item in whole["steps"] if item["op"] == "replace"]
    parts = [{**replaced, "op": op} for op in ("create-replacement", "replace", "delete-replaced")]
    text = page(read(*parts))
    assert "1 change (1 replaced)" in text
