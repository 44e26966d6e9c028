"""Property paths of the engine (`values.hub.extraVolumes[0].name`, `data["manifest.json"]`) and what lies there.

Pure. Knows no resource types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

Path = tuple[str | int, ...]

_TOKEN = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]|([^.\[\]]+)')


class Absent(Enum):
    """The answer where a path leads nowhere."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


def parse(path: str) -> Path:
    """Return the steps of a path: keys as text, list indices as numbers."""
    steps: list[str | int] = []
    for quoted, index, key in _TOKEN.findall(path):
        if quoted:
            steps.append(quoted.replace('\\"', '"'))  # all that providers escape
        elif index:
            steps.append(int(index) if index != "*" else index)
        else:
            steps.append(key)
    return tuple(steps)


def show(path: Path) -> str:
    """Return a path as people write it; keys with dots are quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def at(tree: Any, path: Path) -> Any:
    """Return what lies at the path, or ABSENT."""
    for step in path:
        if isinstance(tree, dict) and step in tree:
            tree = tree[step]
            continue
        if not isinstance(tree, list) or not isinstance(step, int) or step >= len(tree):
            return ABSENT
        tree = tree[step]
    return tree


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of the leaves that differ between two trees."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from differences(left, right, (*path, index))
    elif old != new:
        yield path
