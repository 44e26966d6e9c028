"""The platform's cgroup: all pods and image builds run below it, so that they are easy to find and to end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from local.errors import PlatformError
from local.paths import NAME

# https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/kubelet/cm/cgroup_manager_linux.go
_KUBELET_CONTROLLERS = {"cpu", "cpuset", "memory", "pids", "hugetlb"}


def folders() -> list[Path]:
    """Our cgroup in every mounted hierarchy: one folder with cgroup v2, one a controller with v1."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root / NAME]
    return [folder / NAME for folder in root.iterdir() if folder.is_dir() and not folder.is_symlink()]


def make() -> None:
    """Make it, ready for kubelet; raises PlatformError where the machine hands no controllers to it."""
    for folder in folders():
        folder.mkdir(exist_ok=True)
        if (
            folder.parent.name == "cpuset"
        ):  # cgroup v1: a cpuset without CPUs and memory nodes takes no process
            for name in ("cpuset.cpus", "cpuset.mems"):
                (folder / name).write_text((folder.parent / name).read_text())
        if (folder.parent / "cgroup.controllers").exists():
            # cgroup v2: kubelet refuses a root that lacks a controller, and systemd hands only some of them down
            _delegate(folder.parent)
            _delegate(folder)


def _delegate(folder: Path) -> None:
    """Hand kubelet's controllers down from a cgroup (v2) to its children, as far as it has them itself."""
    available = set((folder / "cgroup.controllers").read_text().split())
    subtree = folder / "cgroup.subtree_control"
    for controller in sorted((available & _KUBELET_CONTROLLERS) - set(subtree.read_text().split())):
        try:
            subtree.write_text(f"+{controller}")
        except OSError as refusal:
            raise PlatformError(
                f"The cgroup controller '{controller}' cannot be handed to pods ({folder}: {refusal.strerror}): use a "
                "machine whose cgroup root is its own; in a container, move its processes to a cgroup below first."
            ) from refusal


def processes() -> set[int]:
    """The ids of all processes in it. Cgroups of pods that end meanwhile are passed over."""
    found: set[int] = set()
    for folder in folders():
        for path, _, files in os.walk(folder):  # which, unlike rglob, lets folders vanish
            if "cgroup.procs" in files:
                with contextlib.suppress(OSError):
                    found |= {int(pid) for pid in Path(path, "cgroup.procs").read_text().split()}
    return found


def remove() -> None:
    """Remove it with all below, once its processes are gone."""
    for folder in folders():
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(path).rmdir()
