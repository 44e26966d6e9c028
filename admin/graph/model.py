"""What of the registrations is shown: components, their resources by kind, and which component needs which. Pure.

Leaves out providers (everything goes through one), the order within a component, and each need that follows from two
others: every component needs the namespace, and only the first ones in line say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from admin.graph.record import Registration

COMPONENT = "thinkube:"
PROVIDER = "pulumi:providers:"


@dataclass(frozen=True)
class Kind:
    """Resources of one kind in one component."""

    name: str
    """e.g. ConfigMap"""
    service: str
    """who has them: kubernetes, keycloak, docker"""
    kept: bool
    """stay on destroy"""
    members: tuple[str, ...]
    """their names there, sorted; `NAME-*` where the provider makes the end of it"""


@dataclass(frozen=True)
class Component:
    """One component with what it makes."""

    name: str
    """logical name"""
    title: str
    """last part of its type"""
    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class Need:
    """`later` needs something that `earlier` makes: resources of `kinds`."""

    earlier: str
    later: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """Components in the order in which they can be made, and needs between them, sorted."""

    components: tuple[Component, ...]
    needs: tuple[Need, ...]


def graph(registrations: Sequence[Registration]) -> Graph:
    """Return the graph; the same for every order of `registrations`."""
    by_urn = {item.urn: item for item in registrations}
    components = {item.name: item for item in registrations if item.type.startswith(COMPONENT)}
    children: dict[str, list[Registration]] = {name: [] for name in components}
    crossing: dict[tuple[str, str], set[str]] = {}
    for item in registrations:
        owner = _owner(item, by_urn)
        if owner is None or item.type.startswith((COMPONENT, PROVIDER)):
            continue
        children[owner].append(item)
        for urn in item.needs:
            needed = by_urn[urn]
            other = _owner(needed, by_urn)
            if other is not None and other != owner:
                crossing.setdefault((other, owner), set()).add(_kind(needed.type))
    before = {
        name: sorted(first for first, second in crossing if second == name) for name in sorted(components)
    }
    order = list(TopologicalSorter(before).static_order())
    return Graph(
        tuple(Component(name, _kind(components[name].type), _kinds(children[name])) for name in order),
        tuple(
            Need(earlier, later, tuple(sorted(kinds)))
            for (earlier, later), kinds in sorted(crossing.items())
            if not _follows(earlier, later, before)
        ),
    )


def _follows(earlier: str, later: str, before: Mapping[str, list[str]]) -> bool:
    """Whether the need is there without its own arrow: through a third component."""
    return any(_reaches(middle, earlier, before) for middle in before[later] if middle != earlier)


def _reaches(start: str, goal: str, before: Mapping[str, list[str]]) -> bool:
    return start == goal or any(_reaches(step, goal, before) for step in before[start])


def _owner(item: Registration, by_urn: Mapping[str, Registration]) -> str | None:
    """Name of the component that a resource belongs to, through any number of parents; None for what is in none."""
    current: Registration | None = item
    while current is not None and not current.type.startswith(COMPONENT):
        current = by_urn.get(current.parent)
    return current.name if current else None


def _kinds(children: Iterable[Registration]) -> tuple[Kind, ...]:
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for item in children:
        key = (_kind(item.type), item.type.partition(":")[0], item.kept)
        groups.setdefault(key, []).append(_name(item))
    return tuple(Kind(*key, tuple(sorted(names))) for key, names in sorted(groups.items()))


def _kind(token: str) -> str:
    return token.rpartition(":")[2]


def _name(item: Registration) -> str:
    """What a resource is called where it is made."""
    metadata: Any = item.inputs.get("metadata")
    if isinstance(metadata, dict):
        return str(metadata.get("name") or f"{item.name}-*")
    if image := item.inputs.get("imageName"):
        return str(image).rpartition("/")[2].partition(":")[0]
    # a client's `name` is a title; elsewhere `clientId` is another resource's
    return str(item.inputs.get("clientId" if _kind(item.type) == "Client" else "name") or item.name)
