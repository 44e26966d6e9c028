"""What a check is and what comes out of one. No I/O.

A check is a function of the context: it returns what it saw, or raises Failed, Warned or Skipped. Codes are never
reused or renamed: people search for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from admin.verify.context import Context


class Result(Enum):
    """How a check ended; the value is what people and machines read."""

    OK = "ok"
    WARNING = "warning"
    SKIPPED = "skipped"
    """does not apply to this stack, or was switched off"""
    NOT_CHECKED = "not checked"
    """another check, which this one needs, did not end well, or the time was over"""
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check: `seen` in good times, `reason` and `remedy` else."""

    code: str
    title: str
    result: Result
    seen: str = ""
    reason: str = ""
    remedy: str = ""
    seconds: float = 0.0


class Failed(Exception):
    """The check's promise does not hold."""

    def __init__(self, reason: str, remedy: str, seen: str = "") -> None:
        """`reason`: what is wrong; `remedy`: what the admin does now; `seen`: what was found instead."""
        super().__init__(reason)
        self.reason, self.remedy, self.seen = reason, remedy, seen


class Warned(Failed):
    """It works, and will not for long, or not for all."""


class Skipped(Exception):
    """There is nothing to check in this stack; the text says why."""


@dataclass(frozen=True)
class Check:
    """One check; `needs` are codes of checks that must have ended well before (warnings count as well)."""

    code: str
    title: str
    run: Callable[[Context], str]
    needs: tuple[str, ...] = ()


class Register:
    """The checks of one module, in order of definition."""

    def __init__(self) -> None:
        """Empty."""
        self.checks: list[Check] = []

    def __call__(
        self, code: str, title: str, *needs: str
    ) -> Callable[[Callable[[Context], str]], Callable[[Context], str]]:
        """Decorator that adds a function as the check `code`."""

        def add(run: Callable[[Context], str]) -> Callable[[Context], str]:
            self.checks.append(Check(code, title, run, needs))
            return run

        return add
