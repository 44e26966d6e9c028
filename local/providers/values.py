"""Plain Python values for the engine's property values, and back: unknowns, secrets, differences.

Owns the rules that all stand-in providers share (what a secret marks, how a path is written). Knows no
resource type.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pulumi import Archive, Asset
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import DiffResponse, PropertyDiff, PropertyDiffKind

Properties = dict[str, PropertyValue]

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine sends, and takes, in place of a value that is not known before the update (pulumi/sdk,
plugin/rpc.go).
"""
_UNKNOWNS = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # an array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)


def plain(value: PropertyValue) -> Any:
    """The value without its secret marks; whole numbers are ints, what is not known yet is ``UNKNOWN``."""
    inner = value.value
    if isinstance(inner, str):
        return UNKNOWN if inner in _UNKNOWNS else inner
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    if isinstance(inner, Mapping):
        return {key: plain(item) for key, item in inner.items()}
    if isinstance(inner, (tuple, list)):
        return [plain(item) for item in inner]
    return inner


def plain_map(values: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """``plain`` for a resource's properties."""
    return {key: plain(item) for key, item in values.items()}


def wrap(value: Any) -> PropertyValue:
    """The property value of plain JSON-like data."""
    if isinstance(value, Mapping):
        return PropertyValue({str(key): wrap(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return PropertyValue([wrap(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    if value is None or isinstance(value, (bool, float, str, Asset, Archive)):
        return PropertyValue(value)
    return PropertyValue(str(value))


def wrap_map(values: Mapping[str, Any], like: Mapping[str, PropertyValue] | None = None) -> Properties:
    """``wrap`` for a resource's properties; what is secret in ``like`` is secret in the answer."""
    wrapped = {key: wrap(item) for key, item in values.items()}
    return marked(wrapped, like) if like else wrapped


def marked(values: Mapping[str, PropertyValue], like: Mapping[str, PropertyValue]) -> Properties:
    """Mark as secret what is secret in ``like``: objects key by key, a list as a whole when anything in it
    is.
    """
    answer = dict(values)
    for key, value in values.items():
        pattern = like.get(key)
        if pattern is None or value.is_secret:
            continue
        if isinstance(value.value, Mapping) and isinstance(pattern.value, Mapping) and not pattern.is_secret:
            answer[key] = value.with_value(marked(value.value, pattern.value))
        elif pattern.contains_secret():
            answer[key] = value.with_secret(True)
    return answer


def has_unknown(value: Any) -> bool:
    """Whether plain data holds something that is not known before the update."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return isinstance(value, str) and value == UNKNOWN


def join(path: str, key: str | int) -> str:
    """A property path extended by one step, in the engine's notation: ``spec.ports[0].labels["a/b"]``."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if re.fullmatch(r"[A-Za-z_$][\w$-]*", key):
        return f"{path}.{key}" if path else key
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'{path}["{escaped}"]'


def steps(path: str) -> list[str | int]:
    """The keys and indices of a property path."""
    found = re.findall(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[]+)', path)
    return [
        int(index) if index else re.sub(r"\\(.)", r"\1", quoted) if quoted else name
        for quoted, index, name in found
    ]


def at(value: Any, path: str) -> Any:
    """What lies at a property path in plain data; raises KeyError or IndexError when nothing does."""
    for step in steps(path):
        value = value[step]
    return value


def below(path: str, prefix: str) -> bool:
    """Whether a property path is ``prefix`` or something inside it."""
    return path == prefix or (path.startswith(prefix) and path[len(prefix)] in ".[")


def changes(
    old: Any, new: Any, path: str = "", same: Callable[[str, Any, Any], bool] | None = None
) -> dict[str, PropertyDiffKind]:
    """What differs between two plain values, by property path; ``same`` may find leaves equal that are
    written differently.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: dict[str, PropertyDiffKind] = {}
        for key in sorted({*old, *new}):
            where = join(path, key)
            if key not in new:
                found[where] = PropertyDiffKind.DELETE
            elif key not in old:
                found[where] = PropertyDiffKind.ADD
            else:
                found |= changes(old[key], new[key], where, same)
        return found
    if isinstance(old, list) and isinstance(new, list):
        found = {}
        for index in range(max(len(old), len(new))):
            where = join(path, index)
            if index >= len(new):
                found[where] = PropertyDiffKind.DELETE
            elif index >= len(old):
                found[where] = PropertyDiffKind.ADD
            else:
                found |= changes(old[index], new[index], where, same)
        return found
    equal = old == new and isinstance(old, bool) == isinstance(new, bool)
    return {} if equal or (same is not None and same(path, old, new)) else {path: PropertyDiffKind.UPDATE}


_REPLACING = {
    PropertyDiffKind.ADD: PropertyDiffKind.ADD_REPLACE,
    PropertyDiffKind.DELETE: PropertyDiffKind.DELETE_REPLACE,
    PropertyDiffKind.UPDATE: PropertyDiffKind.UPDATE_REPLACE,
}


def diff_response(
    found: Mapping[str, PropertyDiffKind],
    *,
    replacing: Iterable[str] = (),
    ignored: Iterable[str] = (),
    delete_first: bool = False,
) -> DiffResponse:
    """The answer to the engine's Diff: differences at or below a ``replacing`` path force a new resource.

    ``ignored`` are the paths of ``ignoreChanges``; ``delete_first`` holds only when something forces a
    replacement.
    """
    ignored, replacing = list(ignored), list(replacing)
    kept = {path: kind for path, kind in found.items() if not any(below(path, skip) for skip in ignored)}
    forcing = [
        path for path in kept if any(below(path, prefix) or below(prefix, path) for prefix in replacing)
    ]
    return DiffResponse(
        changes=bool(kept),
        replaces=forcing,
        diffs=sorted({re.split(r"[.\[]", path, maxsplit=1)[0] for path in kept}),
        delete_before_replace=delete_first and bool(forcing),
        detailed_diff={
            path: PropertyDiff(_REPLACING[kind] if path in forcing else kind, input_diff=False)
            for path, kind in kept.items()
        },
    )


def autoname(seed: bytes, prefix: str, length: int = 8) -> str:
    """A name the engine can repeat: ``prefix``-<random letters and digits> drawn from the engine's seed."""
    draw = random.Random(seed or None)  # noqa: S311  names, not keys
    return f"{prefix}-{''.join(draw.choice('0123456789abcdefghijklmnopqrstuvwxyz') for _ in range(length))}"
