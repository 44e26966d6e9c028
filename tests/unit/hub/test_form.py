"""The page shows what can be had now, escaped, without scripts or assets, and why something cannot."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from thinkube_profiles.catalogue import NotebookImage
from thinkube_profiles.choices import size_offers
from thinkube_profiles.form import render_form, render_notice
from thinkube_profiles.quantities import GIB
from thinkube_profiles.resources import Amount, Node
from thinkube_profiles.rules import Settings

IMAGES = (
    NotebookImage("scipy", "Data work", "numpy", "r/scipy:1", True, False),
    NotebookImage("team-r", "R", "", "r/r:1", False, False),
)
NODES = (Node("one", Amount(8, 31 * GIB), Amount(1, 4 * GIB)),)


class Page(HTMLParser):
    """Collects the elements of a page, and checks that they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"input", "br"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def inputs(self, name: str) -> dict[str | None, dict[str, str | None]]:
        return {at["value"]: at for tag, at in self.elements if tag == "input" and at["name"] == name}

    def testids(self) -> set[str | None]:
        return {at["data-testid"] for _, at in self.elements if "data-testid" in at}


def form(settings: Settings, last: dict[str, Any] | None = None, **changes: Any) -> str:
    given: dict[str, Any] = {
        "sizes": size_offers(NODES, settings.profiles),
        "images": IMAGES,
        "age_seconds": 7,
        "overdue": None,
        "last": last or {},
    }
    return render_form(**(given | changes))


def test_every_choice_is_a_labelled_radio_button(settings: Settings) -> None:
    page = Page(form(settings))
    assert list(page.inputs("profile")) == ["basic", "large", "huge"]
    assert list(page.inputs("image")) == ["scipy", "team-r"]
    labels = {at["for"] for tag, at in page.elements if tag == "label"}
    assert labels == {at["id"] for tag, at in page.elements if tag == "input"}
    assert page.testids() == {
        "size-basic",
        "size-large",
        "size-huge",
        "image-scipy",
        "image-team-r",
        "figures-age",
    }


def test_what_cannot_be_had_is_disabled_with_its_reason(settings: Settings) -> None:
    text = form(settings)
    inputs = Page(text).inputs("profile")
    assert ["disabled" in at for at in inputs.values()] == [False, False, True]
    assert "Not possible here: it needs 32 cores and 256 GB on one node" in text
    assert "Not free now" in text
    assert "Free now on 1 node." in text
    assert "7 s old" in text


@pytest.mark.parametrize(
    ("last", "size", "image"),
    [
        ({}, "basic", "scipy"),
        ({"profile": "large", "image": "team-r"}, "large", "team-r"),
        ({"profile": "huge", "image": "gone"}, "basic", "scipy"),
        ({"profile": ["large"], "image": {}}, "basic", "scipy"),
    ],
)
def test_the_last_choice_is_made_again_where_it_can_be(
    settings: Settings, last: dict[str, Any], size: str, image: str
) -> None:
    page = Page(form(settings, last))
    assert [value for value, at in page.inputs("profile").items() if "checked" in at] == [size]
    assert [value for value, at in page.inputs("image").items() if "checked" in at] == [image]


def test_texts_of_others_stay_texts(settings: Settings) -> None:
    bad = '"><script>alert(1)</script>{{ 7*7 }}{% raw x %}'
    hostile = NotebookImage("x", bad, bad, "r/x:1", False, False)
    page = Page(form(settings, images=(hostile,)))
    assert "script" not in {tag for tag, _ in page.elements}
    assert "49" not in form(settings, images=(hostile,))
    assert "script" not in {tag for tag, _ in Page(render_notice(bad)).elements}


def test_no_script_no_style_no_asset(settings: Settings) -> None:
    text = form(settings, overdue="Late.")
    assert not re.search(r"<(script|style|link|img|iframe)|\son\w+=|style=|https?://", text)


def test_being_late_and_having_nothing_is_said(settings: Settings) -> None:
    assert "overdue-notice" in Page(form(settings, overdue="Late.")).testids()
    assert "lists no image" in form(settings, images=())
    notice = render_notice("thinkube-control is away.")
    assert Page(notice).testids() == {"stale-notice"}
    assert "thinkube-control is away." in notice
