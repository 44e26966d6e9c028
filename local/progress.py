"""Progress on the terminal: one line per step, with its time.

A step that fails prints its line too, so that the reader sees how far it came. Works on a
terminal (a spinner while the step runs) and in a CI log (plain lines).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)


@dataclass
class Step:
    """What a running step may say about itself; ``note`` ends up behind its line."""

    title: str
    note: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


timings: list[tuple[str, float]] = []


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Run a block as one step: prints ``✓ title  1.2 s  note`` or ``✗ title`` when it raises."""
    current = Step(title)
    try:
        if console.is_terminal:
            with console.status(title):
                yield current
        else:
            yield current
    except BaseException:
        console.print(f"[red]✗[/red] {title}  [dim]{current.seconds:.1f} s[/dim]")
        raise
    timings.append((title, current.seconds))
    note = f"  [dim]{current.note}[/dim]" if current.note else ""
    console.print(f"[green]✓[/green] {title}  [dim]{current.seconds:.1f} s[/dim]{note}")
