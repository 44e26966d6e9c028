"""Writing the platform's files: only when they change, whole, with their mode.

Daemons watch some of them (kube-proxy ends itself when its configuration file is touched), so a second `make up` must
not rewrite what is right already.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml


def write(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    """Replace the file atomically unless it has this content; parents are made. Returns the path."""
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == data:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as sink:
        sink.write(data)
    fresh.replace(path)
    return path


def write_yaml(path: Path, value: object) -> Path:
    """The same for a tree of plain values."""
    return write(path, yaml.safe_dump(value, sort_keys=False))
