"""Running other programs: output goes to a log file, a failure becomes a sentence.

Everything that takes long and talks much (apt, go, debootstrap, docker build) runs through here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import processes
from local.errors import PlatformError
from local.paths import LOGS, NETNS


def run(
    argv: Sequence[str | Path],
    *,
    log: str,
    what: str,
    remedy: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 1800,
    stdin: bytes | None = None,
) -> None:
    """Run a program to its end, its output appended to ``LOGS/<log>.log``.

    ``what`` names the deed in the error ("install Debian packages"), ``remedy`` is its last sentence.
    Raises PlatformError with the last lines of the output when the program fails or exceeds ``timeout`` seconds.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    with path.open("ab") as sink:
        start = sink.tell()
        sink.write(f"$ {' '.join(map(str, argv))}\n".encode())
        sink.flush()
        try:
            done = subprocess.run(
                [str(part) for part in argv],
                stdout=sink,
                stderr=subprocess.STDOUT,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                env={**os.environ, **processes.owner_mark(), **(env or {})},
                cwd=cwd,
                timeout=timeout,
                check=False,
            )
            code: int | str = done.returncode
        except subprocess.TimeoutExpired:
            code = f"no end after {timeout:.0f} s"
        except FileNotFoundError as missing:
            code = f"{missing.filename} is not installed"
    if code != 0:
        raise PlatformError(
            f"Could not {what} ({Path(str(argv[0])).name}: {code}). {remedy}".rstrip()
            + f" The log is {path}; it ends with:\n{tail(path, since=start)}"
        )


def output(argv: Sequence[str | Path], *, timeout: float = 60, env: Mapping[str, str] | None = None) -> str:
    """A program's standard output; raises PlatformError with its standard error when it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **(env or {})},
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as failure:
        raise PlatformError(f"{' '.join(map(str, argv))}: {failure}.") from failure
    if done.returncode != 0:
        raise PlatformError(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.returncode}.")
    return done.stdout


def succeeds(argv: Sequence[str | Path]) -> bool:
    """Whether a quick command exits with 0; its output is not shown."""
    try:
        return (
            subprocess.run(
                [str(part) for part in argv], capture_output=True, timeout=60, check=False
            ).returncode
            == 0
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def in_node(argv: Sequence[str | Path]) -> list[str]:
    """The same command inside the node's network namespace.

    ``nsenter --net`` and not ``ip netns exec``: the latter mounts a fresh /sys, which hides the cgroups from kubelet.
    """
    return ["nsenter", f"--net=/run/netns/{NETNS}", *map(str, argv)]


def tail(path: Path, lines: int = 15, *, since: int = 0) -> str:
    """The last lines of a text file, indented; empty when it is not there. ``since`` is a byte offset."""
    if not path.exists():
        return ""
    with path.open("rb") as source:
        source.seek(since)
        text = source.read().decode(errors="replace")
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])
