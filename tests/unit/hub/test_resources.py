"""A bad entry of `/cluster/resources` drops itself, with a reason, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from thinkube_profiles.resources import Amount, parse_resources


def test_nodes_are_read(resources: list[dict[str, Any]]) -> None:
    nodes, dropped = parse_resources(resources)
    assert dropped == ()
    assert [(node.name, node.capacity.cpu, node.available) for node in nodes] == [
        ("full-1", 8, Amount(0.5, 900 * 2**20)),
        ("room-1", 4, Amount(3.2, 12 * 2**30)),
    ]


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("name",), None, "no name"),
        (("name",), 5, "no name"),
        (("capacity",), [], "capacity is no object"),
        (("available",), None, "available is no object"),
        (("capacity", "cpu"), True, "capacity: True"),
        (("capacity", "memory"), "lots", "capacity: 'lots'"),
        (("available", "cpu"), -1, "available: -1"),
        (("available", "memory"), {}, "available: {}"),
    ],
)
def test_a_bad_entry_is_dropped_alone(
    resources: list[dict[str, Any]], path: tuple[str, ...], value: object, reason: str
) -> None:
    entry = resources[0]
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    nodes, dropped = parse_resources(resources)
    assert [node.name for node in nodes] == ["room-1"]
    assert len(dropped) == 1
    assert reason in dropped[0]


def test_unknown_keys_are_ignored_and_doubles_dropped(resources: list[dict[str, Any]]) -> None:
    resources[0]["new_key"] = {"later": True}
    nodes, dropped = parse_resources([*resources, resources[0], "garbage", None])
    assert [node.name for node in nodes] == ["full-1", "room-1"]
    assert len(dropped) == 3


@pytest.mark.parametrize("answer", [None, {}, "nodes", 5, {"detail": "x"}, [None], [{"name": "a"}]])
def test_an_answer_without_news_is_refused_whole(answer: object) -> None:
    with pytest.raises(ValueError, match=r"no list of nodes|can be read"):
        parse_resources(answer)


def test_an_empty_cluster_is_an_answer() -> None:
    assert parse_resources([]) == ((), ())


def test_the_sample_answer_is_read_whole(sample: Callable[[str], Any]) -> None:
    nodes, dropped = parse_resources(sample("cluster-resources.json"))
    assert dropped == ()
    assert nodes[3].capacity == Amount(15.5, 65012 * 2**20)
