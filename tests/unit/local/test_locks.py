"""One command at a time changes a platform; whatever way it ends, the next one can start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import locks
from local.errors import PlatformError

REPO = Path(__file__).resolve().parents[3]
HOLD = """from local import locks; import sys
locks.NAME = sys.argv[1]
with locks.platform():
    print(flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a platform that only this test knows."""
    own = f"thinkube-test-{os.getpid()}"
    monkeypatch.setattr(locks, "NAME", own)
    return own


@pytest.fixture
def holder(name: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, name], cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_the_second_is_refused_with_the_pid_of_the_first(holder: subprocess.Popen[str]) -> None:
    with pytest.raises(PlatformError, match=rf"(?s)pid {holder.pid}: .*wait for it"), locks.platform():
        pass


def test_a_killed_holder_leaves_no_lock(holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()

    with locks.platform():
        pass


def test_patience_is_rewarded(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()  # it ends
    with locks.platform(wait=20):
        pass


def test_a_block_in_a_block_is_part_of_it_and_the_end_sets_free(name: str) -> None:
    with locks.platform(), locks.platform():
        pass
    with locks.platform():
        pass


def test_another_platform_has_a_lock_of_its_own(
    holder: subprocess.Popen[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "NAME", f"{name}-2")
    with locks.platform():
        pass
