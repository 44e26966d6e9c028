"""The engine's event log: what an operation of Pulumi did, as data.

One JSON object per line (pulumi's apitype.EngineEvent). Knows no process and no stack.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_COLOUR = re.compile(r"<\{%[^%]*%\}>")
_QUIET = {"same", "read", "discard-read"}


@dataclass(frozen=True)
class Change:
    """One step of the engine: operation (create, update, replace, delete, same...), urn and the properties
    that differ.
    """

    op: str
    urn: str
    type: str
    diffs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]


@dataclass
class Summary:
    """What one operation did: ``counts`` by operation, every ``step``, the engine's ``diagnostics``
    (severity, text), seconds.
    """

    operation: str
    counts: dict[str, int] = field(default_factory=dict)
    steps: list[Change] = field(default_factory=list)
    diagnostics: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def changes(self) -> dict[str, int]:
        """The operations that change something, by count; empty after a quiet run."""
        return {op: count for op, count in self.counts.items() if op not in _QUIET and count}

    def of(self, name: str) -> list[Change]:
        """The steps of the resource with this logical name."""
        return [step for step in self.steps if step.name == name]

    def errors(self) -> str:
        return "\n".join(text for severity, text in self.diagnostics if severity == "error").strip()

    def take(self, event: Mapping[str, Any], report: Callable[[str], None] | None = None) -> None:
        """Count one event in; ``report`` gets a line per step that is not a quiet one."""
        if diagnostic := event.get("diagnosticEvent"):
            severity, text = diagnostic["severity"], _COLOUR.sub("", diagnostic["message"]).strip()
            # that plugins come from PATH is meant so, and said in every operation
            if severity != "debug" and not diagnostic.get("ephemeral") and "from $PATH at" not in text:
                self.diagnostics.append((severity.removeprefix("info#"), text))
        elif closing := event.get("summaryEvent"):
            self.counts = dict(closing.get("resourceChanges") or {})
        elif step := event.get("resourcePreEvent") or event.get("resOpFailedEvent"):
            data = step["metadata"]
            change = Change(data["op"], data["urn"], data["type"], tuple(data.get("diffs") or ()))
            if "resourcePreEvent" in event:
                self.steps.append(change)
            if report and change.op != "same":
                report(f"{change.op} {change.type} {change.name}" + (" FAILED" if "status" in step else ""))


@contextmanager
def followed(log: Path, take: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Hand each line that is appended to ``log`` to ``take``, until the block ends and the file is read
    out.
    """
    done = threading.Event()

    def follow() -> None:
        with log.open(encoding="utf-8") as source:
            rest = ""
            while True:
                last = done.is_set()
                *lines, rest = (rest + source.read()).split("\n")
                for line in filter(None, lines):
                    take(json.loads(line))
                if last:
                    return
                done.wait(0.1)

    reader = threading.Thread(target=follow)
    reader.start()
    try:
        yield
    finally:
        done.set()
        reader.join()
