"""What tests of stuck states do: kill an update, and run the commands of docs/operations.md as written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from local.engine import Stack
from local.paths import REPO


def documented(heading: str) -> str:
    """The shell lines of docs/operations.md below a heading."""
    text = (REPO / "docs" / "operations.md").read_text()
    section = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/operations.md has no section {heading!r}"
    blocks = re.findall(r"^```sh\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    assert blocks, f"the section {heading!r} has no commands"
    return "".join(blocks)


def run_documented(heading: str, stack: Stack, **env: str) -> str:
    """Run a section's commands as they are written, in the program's folder, confirmed; their output.

    ``env``: what the page has the reader set (NAMESPACE...).
    """
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", documented(heading)],
        cwd=stack.program,
        env={
            **stack.command_env,
            "STACK": stack.name,
            # who reads the documentation answers "yes"
            "PULUMI_OPTION_YES": "true",
            "PULUMI_OPTION_SKIP_PREVIEW": "true",
            **env,
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def killed_update(stack: Stack, when: Callable[[], bool], within: float = 300) -> None:
    """Start `pulumi up` and end it, its plugins and all that they started by SIGKILL as soon as ``when`` is true."""
    process = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack.name],
        cwd=stack.program,
        env=stack.command_env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + within
    try:
        while not when():
            assert process.poll() is None, "the update ended before it could be killed"
            assert time.monotonic() < deadline, "nothing to kill it at happened"
            time.sleep(0.2)
    finally:
        for group in _groups_below(process.pid):
            os.killpg(group, signal.SIGKILL)
        process.wait()


def _groups_below(root: int) -> set[int]:
    """Process groups of a process and of everything that descends from it: plugins have groups of their own."""
    parents: dict[int, tuple[int, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = (int(fields[1]), int(fields[2]))
    found = {root}
    while more := {pid for pid, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return {parents[pid][1] for pid in found if pid in parents}
