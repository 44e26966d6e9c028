"""Nodes and what they can give: thinkube-control's `/cluster/resources`, read with care. No I/O.

Shapes and units as in its answers: CPU in cores, possibly fractions; memory as `Gi`, `Mi`, `Ki` or plain
bytes. `allocated` there counts limits of running pods, so that `available` errs on the cautious side.
"""

from __future__ import annotations

from dataclasses import dataclass

from .quantities import parse_cpu, parse_memory


@dataclass(frozen=True)
class Amount:
    """CPU in cores and memory in bytes."""

    cpu: float
    memory: int

    def fits(self, other: Amount) -> bool:
        """Whether this much can be had from `other`, both at once."""
        return self.cpu <= other.cpu and self.memory <= other.memory


@dataclass(frozen=True)
class Node:
    """One node: all that it has, and what running pods leave."""

    name: str
    capacity: Amount
    available: Amount


def parse_resources(answer: object) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """Nodes of an answer, and why entries were dropped, a sentence each.

    Unknown keys are ignored; a missing or mistyped one drops its entry alone. Raises ValueError for what is
    no list, and for a list of which no entry can be read: that is no news about the cluster.
    """
    if not isinstance(answer, list):
        raise ValueError("the answer is no list of nodes")
    nodes: dict[str, Node] = {}
    dropped: list[str] = []
    for index, entry in enumerate(answer):
        try:
            node = _node(entry)
            if node.name in nodes:
                raise ValueError(f"node {node.name} is listed twice")
            nodes[node.name] = node
        except ValueError as fault:
            dropped.append(f"node entry {index}: {fault}")
    if answer and not nodes:
        raise ValueError(f"none of {len(answer)} nodes can be read, the first because of {dropped[0]}")
    return tuple(nodes.values()), tuple(dropped)


def _node(entry: object) -> Node:
    if not isinstance(entry, dict):
        raise ValueError("it is no object")
    name = entry.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 253:
        raise ValueError("it has no name")
    return Node(name, _amount(entry, "capacity"), _amount(entry, "available"))


def _amount(entry: dict[str, object], key: str) -> Amount:
    amount = entry.get(key)
    if not isinstance(amount, dict):
        raise ValueError(f"{key} is no object")
    try:
        return Amount(parse_cpu(amount.get("cpu")), parse_memory(amount.get("memory")))
    except ValueError as fault:
        raise ValueError(f"{key}: {fault}") from None
