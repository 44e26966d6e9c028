"""Runs all checks at once, each for a few seconds at most, and says what is missing in one error.

Owns the deadlines. Leaves alone: what is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import pulumi

from components.preflight.missing import Check, Missing
from components.preflight.threads import Background
from components.preflight.web import SECONDS, Deadline

GRACE = 0.5
"""Seconds by which a request's own time-out, which knows more, goes before ours."""


def run_checks(checks: Sequence[Check], seconds: float = SECONDS) -> None:
    """Run all checks, `seconds` each; raise pulumi.RunError with one line for each thing that is missing."""
    missing = [
        fault for faults in map(_Run.missing, [_Run(check, seconds) for check in checks]) for fault in faults
    ]
    if missing:
        count = "a dependency is" if len(missing) == 1 else f"{len(missing)} dependencies are"
        raise pulumi.RunError(
            f"{count} missing, nothing was touched\n"
            + "\n".join(f"  - {fault}" for fault in missing)
            + "\nWithout these checks, for a review without a cluster: `pulumi config set preflight false`."
        )


class _Run:
    """One check in the background, with its deadline."""

    def __init__(self, check: Check, seconds: float) -> None:
        self._check = check
        self._deadline = Deadline(seconds)
        self._started = time.monotonic()
        self._background = Background(partial(check.look, self._deadline))

    def missing(self) -> Sequence[Missing]:
        """What is missing, at the latest when the deadline is over."""
        while not self._background.ended(self._deadline.left() + GRACE):
            if self._deadline.is_over(GRACE):  # it may have been put off meanwhile
                waited = time.monotonic() - self._started
                remedy = f"see that it is reached from here, or correct the config key {self._check.key}"
                return [
                    Missing(
                        self._check.service, f"no answer within {waited:.0f} s", self._check.tried, remedy
                    )
                ]
        return self._background.result()
