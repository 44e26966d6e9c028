"""Functions at the same time, in threads that never keep the program alive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """A function that runs in a thread of its own. A daemon: one that hangs (in DNS, say) must not be waited for."""

    def __init__(self, function: Callable[[], T]) -> None:
        """Start it."""
        self._function = function
        self._results: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except Exception as error:
            self._error = error

    def ended(self, within: float | None = None) -> bool:
        """Wait for its end, `within` seconds at most; whether it has ended."""
        self._thread.join(within)
        return not self._thread.is_alive()

    def result(self) -> T:
        """What it returned, once it has ended; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._results[0]


def together(functions: Sequence[Callable[[], T]]) -> list[T]:
    """Results in the order of `functions`, once all have ended; raises the first's exception that raised one."""
    running = [Background(function) for function in functions]
    return [one.result() for one in running if one.ended()]
