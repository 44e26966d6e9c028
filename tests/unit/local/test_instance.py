"""Two platforms share no name and no address; the first one's never change."""

from __future__ import annotations

import ipaddress
from dataclasses import fields

import pytest

from local.instance import NUMBERS, Instance, chosen


def test_the_first_platforms_names_are_what_people_and_documents_know() -> None:
    first = chosen(None)
    assert (first.name, first.link, first.prefix, first.domain, first.port_offset) == (
        "thinkube-local", "tkl0", "10.251", "thinkube.test", 0
    )  # fmt: skip
    assert chosen("") == chosen("1") == first


@pytest.mark.parametrize("of", ["name", "link", "prefix", "domain", "port_offset"])
def test_no_two_platforms_share_anything(of: str) -> None:
    assert len({getattr(Instance(number), of) for number in NUMBERS}) == len(NUMBERS)
    assert {field.name for field in fields(Instance)} == {"number"}


def test_names_fit_the_kernel_and_ranges_are_private() -> None:
    for instance in map(Instance, NUMBERS):
        assert len(instance.link) <= 15
        assert ipaddress.ip_network(f"{instance.prefix}.0.0/16").is_private


@pytest.mark.parametrize("text", ["0", "10", "two", "-1", " 2", "²"])
def test_what_names_no_platform_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(SystemExit, match=r"THINKUBE_LOCAL_INSTANCE is .* must be a number from 1 to 9"):
        chosen(text)
