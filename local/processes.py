"""Finding processes of ours in /proc: by marks in their environment, never by a pid alone or by a name.

Two marks. A *daemon* carries its pid file's path, so that it is found even when the `make up` that started it was
killed before it could write that file. A *command* (a build, the Pulumi engine) carries who started it, so that one
whose owner is gone is known for what it is. Children inherit both. Processes of other pid namespaces (containers) are
never ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PROC = Path("/proc")
_DAEMON, _OWNER = "THINKUBE_LOCAL_DAEMON", "THINKUBE_LOCAL_OWNER"


def daemon_environment(pid_file: Path) -> dict[str, str]:
    """This process's environment for a daemon that is to outlive it: the daemon's mark, and no owner."""
    return {**{key: value for key, value in os.environ.items() if key != _OWNER}, _DAEMON: str(pid_file)}


def owner_mark() -> dict[str, str]:
    """What the environment of a command says that this process starts and waits for."""
    return {_OWNER: f"{os.getpid()} {start_time(os.getpid())}"}


def of_daemon(pid_file: Path) -> set[int]:
    """Processes that carry this daemon's mark: itself and its children, a container runtime's shims aside.

    Shims outlive containerd by design: pods go on while it restarts.
    """
    mark = f"{_DAEMON}={pid_file}"
    return {pid for pid in _others() if mark in _environment(pid) and not is_shim(pid)}


def below(folder: Path) -> set[int]:
    """Processes of all daemons whose pid files lie in this folder, shims included."""
    mark = f"{_DAEMON}={folder}/"
    return {
        pid
        for pid in _others()
        if any(entry.startswith(mark) for entry in _environment(pid))
        # containerd's shims are told its socket, those of a containerd that carries no mark too
        or (is_shim(pid) and any(word.startswith(f"{folder}/") for word in command_line(pid)))
    }


def orphans() -> set[int]:
    """Commands, with their children, whose owner is gone: left behind when a `make` was killed."""
    found: set[int] = set()
    for pid in _others():
        for entry in _environment(pid):
            if entry.startswith(f"{_OWNER}="):
                owner, _, started = entry.partition("=")[2].partition(" ")
                if not (owner.isdigit() and str(start_time(int(owner))) == started):
                    found.add(pid)
    return found


def end(find: Callable[[], Iterable[int]], *signals: tuple[signal.Signals, float]) -> None:
    """Signal what ``find`` finds until it finds nothing: each signal once a process, with so many seconds to obey."""
    for number, seconds in signals:
        told: set[int] = set()
        deadline = time.monotonic() + seconds
        while found := set(find()):
            for pid in found - told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            told |= found
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        else:
            return


def start_time(pid: int) -> int | None:
    """A process's start, in clock ticks since boot (field 22 of proc_pid_stat(5)); None when it is gone or a zombie."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def command_line(pid: int) -> list[str]:
    """The arguments that a process was started with; empty when it is gone."""
    return _strings(pid, "cmdline")


def is_shim(pid: int) -> bool:
    # asked for once: it may be gone by a second question
    return Path((command_line(pid) or [""])[0]).name.startswith("containerd-shim")


def running() -> list[int]:
    """All process ids of this pid namespace, this very process included."""
    ours = _namespace(os.getpid())
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if _namespace(pid) == ours]


def _others() -> list[int]:
    return [pid for pid in running() if pid != os.getpid()]


def _namespace(pid: int) -> str:
    try:
        return str((PROC / str(pid) / "ns/pid").readlink())
    except OSError:
        return ""


def _environment(pid: int) -> list[str]:
    return _strings(pid, "environ")


def _strings(pid: int, name: str) -> list[str]:
    try:
        return (PROC / str(pid) / name).read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
