"""One whole platform as the tests see it: its make commands, its processes, and the machine around it.

Kills only what carries this platform's marks. Compares the machine with how it was, leaving out what belongs to another
platform that runs meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from local import processes
from local.instance import VARIABLE, Instance
from local.machine import FORWARDING, KUBELETS, SYSCTLS

REPO = Path(__file__).resolve().parents[2]
Machine = dict[str, set[str]]
_FOLDERS = (
    "/etc", "/etc/docker", "/run", "/run/containerd", "/run/docker", "/run/netns", "/run/runc",
    "/var/lib", "/var/lib/cni", "/var/log/containers",
)  # fmt: skip


@dataclass
class Box:
    """One platform by its number; ``echo`` is pytest's capture manager: output of make goes to the terminal."""

    instance: Instance
    echo: Any
    before: Machine = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return Path("/var/lib") / self.instance.name

    @property
    def run(self) -> Path:
        return Path("/run") / self.instance.name

    @property
    def volume(self) -> Path:
        """The users' notebooks, through the platform's own mount."""
        return self.state / "mnt" / "local" / "notebooks"

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A make command in a process group of its own, its output readable line by line."""
        with subprocess.Popen(
            ["make", *arguments],
            cwd=REPO,
            env={**os.environ, VARIABLE: str(self.instance.number)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as command:
            try:
                yield command
            except BaseException:  # an interrupted test waits for no command
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(command.pid, signal.SIGKILL)
                raise

    def make(self, *arguments: str, fails: bool = False) -> str:
        """Run a make command to its end and return what it printed; wants it to succeed, or to fail."""
        with self.started(*arguments) as command:
            printed = "".join(self._lines(command))
        assert bool(command.returncode) is fails, f"make {' '.join(arguments)}:\n{printed}"
        return printed

    def kill_up_at(self, line: str, *, after: float = 0, alone: bool = False) -> list[str]:
        """`make up`, killed ``after`` seconds from the moment when it prints ``line``: with all that it runs, or
        ``alone``, so that what it runs is orphaned. Returns the lines until then.
        """
        printed: list[str] = []
        with self.started("up") as command:
            for text in self._lines(command):
                printed.append(text)
                if line in text:
                    time.sleep(after)
                    if alone:
                        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text()
                        os.kill(int(children.split()[0]), signal.SIGKILL)
                    else:
                        os.killpg(command.pid, signal.SIGKILL)
                    break
            command.stdout.close()  # type: ignore[union-attr]
        assert line in printed[-1], f"make up never printed {line!r}:\n{''.join(printed)}"
        return printed

    def kill_all(self) -> None:
        """End every process of the platform at once, as a machine does that loses its power."""
        processes.end(lambda: processes.below(self.run) | self.pods(), (signal.SIGKILL, 20))

    def pods(self) -> set[int]:
        """Processes in the platform's cgroup."""
        found: set[int] = set()
        for root in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
            for path, _, files in os.walk(root / self.instance.name):
                if "cgroup.procs" in files:
                    with suppress(OSError):  # of a pod that ended meanwhile
                        found |= {int(pid) for pid in Path(path, "cgroup.procs").read_text().split()}
        return found

    def forget_what_lay_in_memory(self) -> None:
        """After ``kill_all``: also take away what a reboot does, mounts, network and /run; files on disk stay."""
        for point in reversed(self._own_mounts()):
            subprocess.run(["umount", "-l", point], check=True)
        subprocess.run(["ip", "netns", "del", self.instance.name], check=True)
        shutil.rmtree(self.run)

    def unfinished(self) -> list[dict[str, Any]]:
        """The operations that the stack's stored state says were begun and not ended."""
        stored = self.state / "data/pulumi/local/backend/.pulumi/stacks/thinkube-jupyterhub/local.json"
        latest = json.loads(stored.read_text())["checkpoint"]["latest"]
        return list(latest.get("pending_operations") or [])

    def hub_answers(self) -> bool:
        """Whether the hub's API answers at its public name, over TLS that the platform's CA signed."""
        url = f"https://jupyter.{self.instance.domain}/hub/api/"
        trust = ssl.create_default_context(cafile=self.state / "data/tls/ca.crt")
        answer = httpx.get(url, verify=trust, timeout=10, trust_env=False)
        return answer.status_code == 200 and "version" in answer.json()

    def machine(self) -> Machine:
        """What is on the machine, by kind, this platform's and nobody's; another platform's part is left out."""
        kernel = (FORWARDING, *KUBELETS)
        cgroups = Path("/sys/fs/cgroup")
        listings = {
            folder: {path.name for path in Path(folder).iterdir() if not self._anothers(path)}
            if Path(folder).exists()
            else {"(not there)"}
            for folder in _FOLDERS
        }
        return {
            "processes": {
                f"{pid} {' '.join(processes.command_line(pid))[:150]}"
                for pid in processes.below(self.run) | self.pods() | processes.orphans()
            },
            "mounts": set(self._own_mounts())
            | {p for p in _mounts() if not re.search(r"/thinkube-local|/cni-", p)},
            "links": {path.name for path in Path("/sys/class/net").iterdir()},
            "routes": set(_output("ip", "route").splitlines()),
            "firewall": {line for line in _output("iptables-save").splitlines() if line.startswith("-A")},
            "kernel": {f"{name} = {(SYSCTLS / name).read_text().strip()}" for name in kernel},
            "hosts": set(_without_blocks_of_others(Path("/etc/hosts").read_text(), self.instance.name)),
            "cgroups": {str(p) for depth in ("*", "*/*") for p in cgroups.glob(depth) if p.is_dir()},
            "cni notes": _cni_notes(self.instance.name),
            "shim sockets": {p.name for p in Path("/run/containerd/s").glob("*") if not _answers(p)},
            "sockets": {
                str(p) for p in Path("/tmp").glob("seaweedfs-*") if str(self._grpc_ports()) in str(p)
            },
            **listings,
        }

    def _anothers(self, path: Path) -> bool:
        """Of a folder that all platforms write to, what another one makes meanwhile."""
        if path.parent.name == "containers":
            return not str(path.readlink()).startswith(f"{self.state}/") and path.exists()
        return (
            path.parent.name == "netns"
            and path.name.startswith("cni-")
            and Path("/run/thinkube-local").exists()
        )

    def _grpc_ports(self) -> int:
        return 18888 + self.instance.port_offset

    def _own_mounts(self) -> list[str]:
        return [p for p in _mounts() if p.startswith((f"{self.state}/", f"{self.run}/"))]

    def _lines(self, command: subprocess.Popen[str]) -> Iterator[str]:
        assert command.stdout is not None
        for line in command.stdout:
            with self.echo.global_and_fixture_disabled():
                print(f"  | {line}", end="", flush=True)
            yield line


def _without_blocks_of_others(hosts: str, own: str) -> list[str]:
    """The hosts file's lines without the blocks of other platforms, to which their stacks add names."""

    def kept(block: re.Match[str]) -> str:
        return block[0] if block[1] == own else ""

    pattern = r"# (thinkube-local[-0-9]*) begin\n.*?# \1 end\n"
    return re.sub(pattern, kept, hosts, flags=re.S).splitlines()


def _mounts() -> list[str]:
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _cni_notes(own: str) -> set[str]:
    """Notes about pods' networks, those of other platforms' pods and their loopbacks left out."""
    folder = Path("/var/lib/cni/results")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    pods = [m for name in names if (m := re.fullmatch(r"(thinkube-local[-0-9]*?)-([0-9a-f]{64})-.*", name))]
    others = {pod[2] for pod in pods if pod[1] != own}
    return {name for name in names if not any(container in name for container in others)}


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0
