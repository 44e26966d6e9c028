"""Runs all checks at once, each for a few seconds at most, and says what is missing in one error.

Owns the threads and the deadlines. Leaves alone: what is looked at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pulumi

from components.preflight.missing import Check, Missing
from components.preflight.web import SECONDS, Deadline

GRACE = 0.5
"""Seconds by which a request's own time-out, which knows more, goes before ours."""


def run_checks(checks: Sequence[Check], seconds: float = SECONDS) -> None:
    """Run all checks, `seconds` each; raise pulumi.RunError with one line for each thing that is missing."""
    missing = [
        fault for faults in map(_Run.result, [_Run(check, seconds) for check in checks]) for fault in faults
    ]
    if missing:
        count = "a dependency is" if len(missing) == 1 else f"{len(missing)} dependencies are"
        raise pulumi.RunError(
            f"{count} missing, nothing was touched\n"
            + "\n".join(f"  - {fault}" for fault in missing)
            + "\nWithout these checks, for a review without a cluster: `pulumi config set preflight false`."
        )


class _Run:
    """One check in a thread of its own. A daemon: one that hangs (in DNS, say) must not keep the program alive."""

    def __init__(self, check: Check, seconds: float) -> None:
        self._check = check
        self._deadline = Deadline(seconds)
        self._faults: Sequence[Missing] | None = None
        self._error: Exception | None = None
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._look, name=check.service, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        try:
            self._faults = self._check.look(self._deadline)
        except Exception as error:
            self._error = error  # raised again where the program can see it

    def result(self) -> Sequence[Missing]:
        """What is missing, at the latest when the deadline is over."""
        while self._thread.is_alive() and not self._deadline.is_over(GRACE):
            self._thread.join(self._deadline.left() + GRACE)
        if self._error is not None:
            raise self._error
        if self._faults is None:
            waited = time.monotonic() - self._started
            remedy = f"see that it is reached from here, or correct the config key {self._check.key}"
            return [
                Missing(self._check.service, f"no answer within {waited:.0f} s", self._check.tried, remedy)
            ]
        return self._faults
