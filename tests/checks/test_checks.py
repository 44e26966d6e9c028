"""`make check` as a test, so that CI is one pytest call; `make test` leaves it out."""

from __future__ import annotations

import subprocess
from pathlib import Path

REPO = Path(__file__).parents[2]


def test_static_checks_find_nothing() -> None:
    done = subprocess.run(
        ["scripts/check"],
        cwd=REPO,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
