"""What the platforms change about the machine outside their own folders, and how it is put back.

Kernel settings (kubelet and routing change them) and what container tools leave at fixed places. How they
were before the first platform came up is kept in one small file; the last platform that goes puts them back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from local import processes
from local.files import write
from local.network import other_bridges
from local.paths import NAME, RUN, STATE
from local.shell import succeeds

BEFORE = STATE.parent / "thinkube-local.before.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SYSCTLS = Path("/proc/sys")
FORWARDING = "net/ipv4/ip_forward"
# https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/kubelet/cm/container_manager_linux.go (setupKernelTunables)
KUBELETS = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
)  # fmt: skip
# Deepest first; removed, folders only while empty, unless it was there before.
_LEFTOVERS = tuple(
    map(
        Path,
        (
            "/etc/docker/key.json", "/etc/docker",
            "/var/lib/cni/results", "/var/lib/cni/cache", "/var/lib/cni",
            "/var/lib/kubelet/device-plugins", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods",
            "/run/containerd/s", "/run/containerd", "/run/docker/plugins", "/run/docker", "/run/runc", "/run/netns",
        ),
    )
)  # fmt: skip
_SHIM_SOCKETS = Path("/run/containerd/s")
_CNI_RESULTS = Path("/var/lib/cni/results")


def remember() -> None:
    """Note how the machine is, before anything of it is changed; a note of this boot stays as it is."""
    known = _read()
    fresh_boot = known.get("boot") != BOOT_ID.read_text().strip()
    values = {name: (SYSCTLS / name).read_text().strip() for name in (FORWARDING, *KUBELETS)}
    note = {
        "boot": BOOT_ID.read_text().strip(),
        "platforms": sorted({*known.get("platforms", []), NAME}),
        "kernel": values if fresh_boot else known["kernel"],
        "paths": known.get("paths", [str(path) for path in _LEFTOVERS if path.exists()]),
    }
    write(BEFORE, json.dumps(note, indent=2))


def put_back() -> None:
    """Undo what this platform changed; what another one still needs stays until that one goes."""
    _remove_cni_results()
    _remove_shim_sockets()
    known = _read()
    if not known:
        return
    others = [name for name in known["platforms"] if name != NAME]
    if others:
        write(BEFORE, json.dumps({**known, "platforms": others}, indent=2))
        return
    if known["boot"] == BOOT_ID.read_text().strip():  # after a reboot the kernel has its own values again
        for name, value in known["kernel"].items():
            if name == FORWARDING and other_bridges():
                continue  # somebody else's containers found routing on and rely on it by now
            if (SYSCTLS / name).read_text().strip() != value:
                (SYSCTLS / name).write_text(value)
    for path in _LEFTOVERS:
        if str(path) not in known["paths"] and path.exists():
            _remove(path)
    BEFORE.unlink()


def _read() -> dict[str, Any]:
    note: dict[str, Any] = json.loads(BEFORE.read_text()) if BEFORE.exists() else {}
    return note


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # not empty: somebody uses it
        if not path.is_dir():
            path.unlink()
        elif not any(path.iterdir()):
            if os.path.ismount(path):  # `ip netns` mounts its folder on itself
                succeeds(["umount", path])
            path.rmdir()


def _remove_cni_results() -> None:
    """What the CNI library noted of our pods' networks, in a folder that cannot be configured.

    Two notes a pod: one of our network, and one of its loopback that only the same container id ties to us.
    """
    files = list(_CNI_RESULTS.iterdir()) if _CNI_RESULTS.exists() else []
    ours = {m[1] for file in files if (m := re.fullmatch(rf"{NAME}-([0-9a-f]{{64}})-.*", file.name))}
    for file in files:
        if any(container in file.name for container in ours):
            file.unlink(missing_ok=True)


def shim_sockets() -> set[Path]:
    """Sockets of our shims, by what their folders say and by what those that run were started with.

    They lie in a folder that cannot be configured, and their names are digests:
    https://github.com/containerd/containerd/blob/v1.6.20/runtime/v2/shim/util_unix.go (SocketAddress).
    """
    found = set()
    for told in (RUN / "containerd-state").glob("io.containerd.runtime.v2.task/*/*/address"):
        with contextlib.suppress(FileNotFoundError):
            found.add(Path(told.read_text().removeprefix("unix://")))
    for pid in processes.below(RUN):
        words = processes.command_line(pid)
        options = dict(pairwise(words))
        if processes.is_shim(pid) and {"-address", "-namespace", "-id"} <= options.keys():
            path = "/".join(options[key] for key in ("-address", "-namespace", "-id"))
            found.add(_SHIM_SOCKETS / hashlib.sha256(path.encode()).hexdigest())
    return {path for path in found if path.parent == _SHIM_SOCKETS}


def remove_dead_sockets(paths: Iterable[Path]) -> None:
    """Remove those of these sockets that nobody answers on: of shims that were killed."""
    for path in paths:
        if path.exists() and _is_dead(path):
            path.unlink(missing_ok=True)


def _remove_shim_sockets() -> None:
    """Sockets of shims that are gone: ours, and whatever nobody has answered on for a minute. A socket that is younger
    may be one of the machine's own containerd between its birth and its first answer.
    """
    remove_dead_sockets(shim_sockets())
    for socket_file in _SHIM_SOCKETS.iterdir() if _SHIM_SOCKETS.exists() else ():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - socket_file.stat().st_mtime > 60 and _is_dead(socket_file):
                socket_file.unlink()


def _is_dead(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
