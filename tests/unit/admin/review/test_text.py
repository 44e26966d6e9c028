"""Whatever a value holds, it stays a value."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.review.page import page
from admin.review.text import code, escape, fence, shorten
from tests.unit.admin.review.builders import read, step

NASTY = [
    "`rm -rf`",
    "a|b\\|c",
    "one\ntwo\r\n\n# three",
    "<script>alert(1)</script>",
    "</code></td></details><img src=x onerror=y>",
    "@everyone @org/team",
    "#1 GH-1 org/repo#2",
    "![x](https://evil.example/x.png) [y](javascript:z)",
    "**bold** _it_ ~~no~~ $x$ :smile:",
    "```\n</details>\n```",
    "&lt;b&gt; &#64;",
    "www.evil.example https://evil.example mail@evil.example",
    "\u202egnp.exe \x00 \x1b[31m",
    "- list",
    "1. list",
    "| --- |",
]


@pytest.mark.parametrize("text", NASTY)
def test_a_value_in_the_table_starts_nothing(text: str) -> None:
    made = page(
        read(
            step(
                "update",
                "kubernetes:core/v1:ConfigMap",
                text.replace("::", ""),
                old={"data": {text: "x"}},
                new={"data": {text: text}},
                diff=['data["' + text.replace('"', '\\"') + '"]'],
            )
        )
    )
    outside = re.sub(r"<details>.*</details>", "", made, flags=re.DOTALL)
    rows = [
        line
        for line in outside.splitlines()
        if line.startswith("| ConfigMap") or line.startswith("| JupyterHub")
    ]
    assert len(rows) == 1
    assert rows[0].count("|") == 5
    tags = set(re.findall(r"<[^>]*>", outside))
    assert tags <= {"<code>", "</code>", "<br>", "<!-- thinkube-jupyterhub review: dev -->"}
    plain = re.sub(r"<[^>]*>|&#\d+;", "", rows[0].replace("</code>: ", ""))
    assert not re.search(r"[`@#\[\]_~$:!\\]", plain)
    assert "www." not in rows[0]
    body = re.search(r"<details>.*</details>", made, re.DOTALL)
    assert body is not None
    opening = re.search(r"^(`+)diff$", body.group(), re.MULTILINE)
    assert opening is not None
    assert max(map(len, re.findall(r"`+", body.group()))) == len(opening.group(1))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_the_reader_sees_the_text_itself(text: str) -> None:
    made = escape(text)
    assert "\n" not in made
    assert not re.search(r"[`|<>@*_\[\]\\]", made)
    if text.isascii() and text.isprintable():
        assert html.unescape(made) == text.strip()


def test_code_is_never_empty() -> None:
    assert code("") == "<code>&quot;&quot;</code>"


def test_shortening_keeps_both_ends() -> None:
    short = shorten("a" * 100 + "end", 30)
    assert len(short) <= 30
    assert short.startswith("aaa")
    assert short.endswith("end")
    assert shorten("x", 30) == "x"


def test_a_fence_is_longer_than_what_it_holds() -> None:
    assert fence(["a ```` b"], "text").startswith("`````text\n")
