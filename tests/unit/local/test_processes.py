"""Processes are found by their marks: a daemon without its pid file, a command without its owner, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import daemons, processes
from local.daemons import Daemon


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that carries no mark."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(daemons, "RUN", tmp_path / "run")
    monkeypatch.setattr(daemons, "LOGS", tmp_path / "logs")
    return tmp_path / "run"


def end(pids: set[int]) -> None:
    processes.end(lambda: {pid for pid in pids if processes.start_time(pid)}, (signal.SIGKILL, 5))


def test_a_daemon_whose_pid_file_was_never_written_is_replaced(
    run: Path, bystander: subprocess.Popen[bytes]
) -> None:
    daemon = Daemon("keeper", ["sh", "-c", "sleep 60 & wait"], healthy=lambda: True, node=False)
    daemon.launch()
    first = daemon.pid()
    daemon.pid_file.unlink()  # as when `make up` is killed between the two
    daemon.launch()
    try:
        assert first is not None
        assert processes.start_time(first) is None
        deadline = time.monotonic() + 10
        while len(processes.below(run)) < 2:  # the shell has yet to start its child
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert daemon.pid() in processes.of_daemon(daemon.pid_file) == processes.below(run)
        assert bystander.poll() is None
    finally:
        daemon.stop()
    assert not processes.below(run)


def test_the_processes_of_a_platform_whose_name_begins_alike_are_its_own(tmp_path: Path) -> None:
    first, second = tmp_path / "thinkube-local", tmp_path / "thinkube-local-2"
    with subprocess.Popen(["sleep", "60"], env=processes.daemon_environment(second / "etcd.pid")) as process:
        assert processes.below(second) == {process.pid}
        assert not processes.below(first)
        process.kill()


def test_shims_are_left_to_go_on_when_their_runtime_is_replaced(tmp_path: Path) -> None:
    shim = tmp_path / "containerd-shim-runc-v2"
    shim.write_text("#!/bin/sh\nsleep 60\n")
    pid_file = tmp_path / "containerd.pid"
    with (
        subprocess.Popen(
            ["sleep", "60"], env=processes.daemon_environment(pid_file), executable="/bin/sleep"
        ) as child,
        subprocess.Popen(
            [shim, "60"], executable="/bin/sleep", env=processes.daemon_environment(pid_file)
        ) as pods,
    ):
        assert processes.of_daemon(pid_file) == {child.pid}
        assert processes.below(tmp_path) == {child.pid, pods.pid}
        end({child.pid, pods.pid})


def test_commands_are_orphans_only_once_their_owner_is_gone(bystander: subprocess.Popen[bytes]) -> None:
    script = (
        "import os, subprocess, sys; from local import processes; "
        "p = subprocess.Popen(['sleep', '60'], env={**os.environ, **processes.owner_mark()}); "
        "print(p.pid, flush=True); sys.stdin.read()"
    )
    repo = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=repo
    ) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        try:
            assert child not in processes.orphans()
            owner.kill()
            owner.wait()
            found = processes.orphans()
            assert child in found
            assert not found & {os.getpid(), bystander.pid}
        finally:
            end({child})


def test_a_daemon_that_a_marked_command_starts_is_nobodys_orphan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for key, value in processes.owner_mark().items():
        monkeypatch.setenv(key, value)

    assert not set(processes.owner_mark()) & set(processes.daemon_environment(tmp_path / "etcd.pid"))


def test_who_does_not_obey_gets_the_next_signal() -> None:
    with subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], stdout=subprocess.PIPE
    ) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        processes.end(
            lambda: {stubborn.pid} if processes.start_time(stubborn.pid) else set(),
            (signal.SIGTERM, 0.3),
            (signal.SIGKILL, 5),
        )
        assert stubborn.wait() == -signal.SIGKILL


def test_a_process_that_ends_while_it_is_looked_at_is_no_shim(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["/usr/bin/containerd-shim-runc-v2"]]
    monkeypatch.setattr(processes, "command_line", lambda pid: answers.pop() if answers else [])

    assert processes.is_shim(1)
    assert not processes.is_shim(1)
