"""Daemons: started once, told apart from a stranger with their pid, ended whole, explained when they fail."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from local import daemons, processes
from local.daemons import Daemon
from local.errors import PlatformError


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(daemons, "RUN", tmp_path / "run")
    monkeypatch.setattr(daemons, "LOGS", tmp_path / "logs")
    return tmp_path


def sleeper(name: str = "sleeper", script: str = "sleep 60", **options: object) -> Daemon:
    return Daemon(name, ["sh", "-c", script], healthy=lambda: True, node=False, **options)  # type: ignore[arg-type]


def test_start_is_idempotent_and_stop_ends_the_whole_group(folders: Path) -> None:
    child = folders / "child"
    daemon = sleeper(script=f"sleep 61 & echo $! > {child}; wait", stop_within=0.5)
    daemon.start()
    first = daemon.pid()
    daemon.start()
    while not child.exists() or not child.read_text():
        time.sleep(0.02)

    assert daemon.pid() == first
    daemon.stop()
    assert daemon.pid() is None
    assert not daemon.pid_file.exists()
    time.sleep(0.1)
    assert processes.start_time(int(child.read_text())) is None


def test_a_pid_that_belongs_to_somebody_else_now_is_never_signalled(folders: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        daemon = sleeper()
        daemon.pid_file.parent.mkdir(parents=True)
        daemon.pid_file.write_text(f"{stranger.pid} 12345\n")  # same pid, another start time

        assert daemon.pid() is None
        daemon.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_early_end_shows_the_log(folders: Path) -> None:
    with pytest.raises(PlatformError, match=r"(?s)ended right after its start.*port 80 is taken"):
        Daemon(
            "brief", ["sh", "-c", "echo port 80 is taken; exit 1"], healthy=lambda: False, node=False
        ).start()


def test_no_answer_in_time_is_said(folders: Path) -> None:
    daemon = Daemon("mute", ["sleep", "60"], healthy=lambda: False, node=False, ready_within=0.3)
    try:
        with pytest.raises(PlatformError, match="did not answer within 0 s"):
            daemon.start()
    finally:
        daemon.stop()


def test_start_time_of_a_process_that_is_gone_is_none() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert processes.start_time(process.pid) is None
    assert processes.start_time(os.getpid()) is not None
