"""Amounts are read exactly or not at all, and written as people write them."""

from __future__ import annotations

import math

import pytest
from thinkube_profiles.quantities import age_text, cores_text, memory_text, parse_cpu, parse_memory


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("31Gi", 31 * 2**30),
        ("65012Mi", 65012 * 2**20),
        ("16Ki", 16384),
        ("1.5Gi", 3 * 2**29),
        ("2G", 2_000_000_000),
        ("0", 0),
        (1024, 1024),
        (0, 0),
    ],
)
def test_memory_is_read_in_all_units(text: object, count: int) -> None:
    assert parse_memory(text) == count


@pytest.mark.parametrize(("value", "cores"), [(8, 8), (15.5, 15.5), ("1500m", 1.5), ("4", 4), (0, 0)])
def test_cpu_is_read_as_cores(value: object, cores: float) -> None:
    assert parse_cpu(value) == cores


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        [],
        {},
        "",
        "-1",
        -1,
        "NaN",
        math.nan,
        math.inf,
        "1e9",
        "4 Gi",
        "4Gi\n",
        "٤",
        "1" * 99,
        10**400,
    ],
)
def test_anything_else_is_refused_with_a_sentence(value: object) -> None:
    with pytest.raises(ValueError, match="is no amount of memory"):
        parse_memory(value)
    with pytest.raises(ValueError, match="is no amount of CPU"):
        parse_cpu(value)


def test_amounts_are_written_for_people() -> None:
    assert [cores_text(cores) for cores in (1, 2, 0.5)] == ["1 core", "2 cores", "0.5 cores"]
    assert [memory_text(count) for count in (4 * 2**30, 65012 * 2**20)] == ["4 GB", "63.5 GB"]
    assert [age_text(age) for age in (-1, 7.4, 180, 7200)] == ["0 s", "7 s", "3 min", "2 h"]
