"""Starting, watching and ending the platform's background processes.

Each daemon has a pid file that also records the process's start time, so that a pid that the kernel
gave to somebody else since is never signalled; a log file; and a health check. What runs inside a
daemon's process group ends with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local import processes
from local.errors import PlatformError
from local.paths import LOGS, RUN
from local.shell import in_node, tail


@dataclass(frozen=True)
class Daemon:
    """One background process.

    ``healthy`` answers whether it serves (it may raise: that is a no). ``node`` runs it inside the node's
    network namespace. ``ready_within`` and ``stop_within`` are seconds.
    """

    name: str
    argv: Sequence[str | Path]
    healthy: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    node: bool = True
    ready_within: float = 90
    stop_within: float = 20

    @property
    def pid_file(self) -> Path:
        return RUN / f"{self.name}.pid"

    @property
    def log_file(self) -> Path:
        return LOGS / f"{self.name}.log"

    def pid(self) -> int | None:
        """The process id while it is alive and still the process that was started."""
        return read_pid(self.pid_file)

    def is_healthy(self) -> bool:
        try:
            return self.pid() is not None and self.healthy()
        except Exception:
            return False

    def start(self) -> None:
        """Start it unless it runs, and wait until it is healthy.

        Raises PlatformError with the log's last lines when it ends early or is not healthy in time.
        """
        self.launch()
        deadline = time.monotonic() + self.ready_within
        while not self.is_healthy():
            if self.pid() is None:
                raise PlatformError(
                    f"{self.name} ended right after its start. Its log is {self.log_file}; it ends with:\n"
                    + tail(self.log_file)
                )
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{self.name} runs but did not answer within {self.ready_within:.0f} s. "
                    f"Its log is {self.log_file}; it ends with:\n{tail(self.log_file)}"
                )
            time.sleep(0.2)

    def launch(self) -> None:
        """Start it unless it runs, and do not wait. What is left of an earlier one goes first: a child that held its
        files or port, or a whole one whose pid file a killed `make up` did not come to write.
        """
        if self.pid() is not None:
            return
        processes.end(lambda: processes.of_daemon(self.pid_file), (signal.SIGTERM, 5), (signal.SIGKILL, 5))
        LOGS.mkdir(parents=True, exist_ok=True)
        RUN.mkdir(parents=True, exist_ok=True)
        argv = in_node(self.argv) if self.node else [str(part) for part in self.argv]
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**processes.daemon_environment(self.pid_file), **self.env},
                start_new_session=True,
                cwd="/",
            )
        process.returncode = 0  # it outlives this object on purpose: no warning when the object goes
        self.pid_file.write_text(f"{process.pid} {processes.start_time(process.pid) or 0}\n")

    def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL to its process group after ``stop_within`` seconds."""
        stop_pid_file(self.pid_file, self.stop_within)


def read_pid(pid_file: Path) -> int | None:
    """The pid that a file names, if that very process still lives."""
    try:
        pid, started = (int(part) for part in pid_file.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    return pid if processes.start_time(pid) == started else None


def stop_pid_file(pid_file: Path, within: float = 20) -> None:
    """End the process that a pid file names, with its group, and remove the file."""
    pid = read_pid(pid_file)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + within
        while read_pid(pid_file) is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        while read_pid(pid_file) is not None:
            time.sleep(0.05)
        # A child of this very process that ended is a zombie until it is waited for.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    pid_file.unlink(missing_ok=True)
