"""Ends a platform whatever state it is in: up, half up, killed half-way, or left over from before a reboot.

Finds what is there by marks, folders and cgroups rather than by what should be there, and is safe to repeat. What
belongs to another platform, or to the machine's own containers, is never touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from local import cgroups, machine, mounts, network, processes, seaweed
from local.daemons import stop_pid_file
from local.errors import PlatformError
from local.paths import DATA, MOUNTS, RUN, STATE
from local.progress import step

_LOG_LINKS = Path("/var/log/containers")
_WITHIN = {"kube-apiserver": 2.0, "seaweedfs": 3.0}
"""Seconds until SIGKILL, where less than 30 do. The API server waits up to a minute for watchers, and nobody is left
who could miss an answer. SeaweedFS's filer waits 15 s for streams that its own parts hold open; by then all mounts have
written back and are gone, and what it took it has given to the kernel (its log and volumes are plain appended files).
"""


def end_orphans() -> None:
    """End what a killed `make` left running: builds, and a Pulumi engine, which saves its state when it is asked to."""
    # the engine alone at first: it needs its plugins to end well what it began
    processes.end(_orphaned_engines, (signal.SIGINT, 60))
    processes.end(processes.orphans, (signal.SIGTERM, 10), (signal.SIGKILL, 5))


def _orphaned_engines() -> set[int]:
    return {
        pid for pid in processes.orphans() if Path((processes.command_line(pid) or [""])[0]).name == "pulumi"
    }


def end_processes() -> None:
    """All daemons, newest dependants first, then what is left of pods: shims, containers, mounts, cgroups."""
    sockets = machine.shim_sockets()  # once the shims are gone nothing tells of them
    for name in ("traefik", "provisioner", "kube-proxy", "kubelet"):
        stop_pid_file(RUN / f"{name}.pid")
    processes.end(_pods, (signal.SIGKILL, 20))
    for pid_file in sorted(RUN.glob("weed-mount-*.pid")):
        stop_pid_file(pid_file)
    seaweed.unmount_all()
    others = [path for path in RUN.glob("*.pid") if path.name != "docker-engine.pid"]
    for pid_file in sorted(others, key=lambda path: path.name in ("etcd.pid", "containerd.pid")):
        stop_pid_file(pid_file, within=_WITHIN.get(pid_file.stem, 30))
    # those that no pid file tells of
    processes.end(
        lambda: processes.below(RUN) | cgroups.processes(), (signal.SIGTERM, 5), (signal.SIGKILL, 20)
    )
    os.sync()
    for point in reversed(mounts.below(STATE, RUN)):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)
    cgroups.remove()
    machine.remove_dead_sockets(sockets)
    seaweed.remove_sockets()
    _remove_log_links()


def remove(*, delete_data: bool) -> None:
    """End all, then take away network, files and what was changed about the machine. Users' data stays unless asked."""
    with step("Stop pods and services"):
        end_processes()
    with step("Network"):
        network.down()
    with step("Files"):
        machine.put_back()
        _remove_files(delete_data=delete_data)


def _remove_files(*, delete_data: bool) -> None:
    if left := [point for point in mounts.below(STATE, RUN) if not point.startswith(f"{MOUNTS}/")]:
        # users' files are bound into pods' folders: never walk into one of those
        raise PlatformError(
            f"Still mounted, nothing was removed: {', '.join(left)}. Unmount it, then `make down`."
        )
    for folder in (RUN, *(child for child in STATE.glob("*") if child != DATA)):
        if folder == MOUNTS and any(os.path.ismount(point) for point in MOUNTS.iterdir()):
            continue  # never walk into a user's files
        if folder.is_dir():
            shutil.rmtree(folder)
        else:
            folder.unlink(missing_ok=True)
    if delete_data:
        shutil.rmtree(STATE, ignore_errors=True)


def _pods() -> set[int]:
    """Every process in our cgroup, and every shim of our containerd."""
    return cgroups.processes() | {pid for pid in processes.below(RUN) if processes.is_shim(pid)}


def _remove_log_links() -> None:
    """kubelet links container logs under /var/log/containers whatever its configuration says."""
    for link in _LOG_LINKS.iterdir() if _LOG_LINKS.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            if link.is_symlink() and str(link.readlink()).startswith(f"{STATE}/"):
                link.unlink()
