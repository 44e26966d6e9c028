"""What the engine keeps of a stack on disk (Pulumi's file backend), as far as a killed operation is seen in it.

Reads the stored state and removes dead locks; everything else is the engine's own business.
"""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Any


def unfinished(file: Path) -> list[dict[str, Any]]:
    """The steps that a killed operation had begun: each a ``type`` (creating, updating...) and the ``resource``."""
    if not file.exists():
        return []
    latest = json.loads(file.read_text())["checkpoint"].get("latest") or {}
    steps: list[dict[str, Any]] = latest.get("pending_operations") or []
    return steps


def drop_dead_locks(folder: Path) -> None:
    """Remove locks of this machine's Pulumi processes that are gone: a killed `up` must not stop the next one."""
    for lock in folder.glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            holder = json.loads(lock.read_text())
            program = Path(f"/proc/{int(holder['pid'])}/comm")
            alive = program.exists() and program.read_text().startswith("pulumi")
            if holder["hostname"] == socket.gethostname() and not alive:
                lock.unlink()
