"""Who may change what is shared: one `make up` or `make down` per platform, one build at a time in the cache.

Both locks are the kernel's: whatever way their holder ends, they end with it, and no stale lock is ever in the way.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from local import processes
from local.errors import PlatformError
from local.paths import CACHE, NAME
from local.progress import console

_held = False


@contextlib.contextmanager
def platform(*, wait: float = 0) -> Iterator[None]:
    """Change this platform, alone; a block inside such a block is part of it.

    Raises PlatformError with the holder's pid when it is taken, after ``wait`` seconds of patience.
    """
    global _held
    if _held:
        yield
        return
    deadline = time.monotonic() + wait
    # A name in the kernel's table and no file: nothing is left behind, and the holder can be asked who it is.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        while not _taken(lock):
            if time.monotonic() >= deadline:
                raise PlatformError(_who())
            time.sleep(1)
        _held = True
        try:
            yield
        finally:
            _held = False


def _address() -> str:
    return f"\0{NAME}.lock"


def _taken(lock: socket.socket) -> bool:
    try:
        lock.bind(_address())
    except OSError:
        return False
    lock.listen()
    return True


def _who() -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        try:
            asked.connect(_address())
        except OSError:
            return "Another `make` command on this platform has ended just now: run the command again."
        credentials = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid = struct.unpack("3i", credentials)[0]
    command = " ".join(processes.command_line(pid)[-3:])
    return f"Another `make` command (pid {pid}: {command}) is changing this platform: wait for it, or end it first."


@contextlib.contextmanager
def cache() -> Iterator[None]:
    """Build into the cache, which all platforms of the machine share; waits for another that builds."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("  Another platform's `make up` builds tools just now: waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def file(path: Path) -> Iterator[None]:
    """Read and rewrite a file of the machine's, alone among ours."""
    with path.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
