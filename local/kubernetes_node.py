"""The Kubernetes control plane and node: etcd, API server, controller manager, scheduler, kubelet, kube-proxy.

All run as processes inside the node's network namespace, from one binary (``local/tools/kubernetes``). Certificates
and kubeconfigs are written here; containerd is next door in ``containers.py``.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from local import pki
from local.daemons import Daemon
from local.errors import PlatformError
from local.files import write_yaml
from local.paths import (
    API_SERVICE_ADDRESS,
    BIN,
    CONTAINERD_SOCKET,
    DNS_ADDRESS,
    KUBECONFIG,
    NODE_ADDRESS,
    POD_CIDR,
    SERVICE_CIDR,
    STATE,
)

NODE_NAME = "thinkube-local"
SERVER = f"https://{NODE_ADDRESS}:6443"
PKI = STATE / "pki"
CLUSTER_CA = pki.Authority(PKI, "cluster-ca")
CGROUP = "thinkube-local"
# https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/kubelet/cm/cgroup_manager_linux.go
_KUBELET_CONTROLLERS = {"cpu", "cpuset", "memory", "pids", "hugetlb"}

# who: (common name, group) as Kubernetes' default RBAC expects them
# https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
_CLIENTS = {
    "admin": ("thinkube-local-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
}


def prepare() -> None:
    """Write certificates, kubeconfigs and the kubelet's and kube-proxy's configuration files."""
    CLUSTER_CA.ensure()
    pki.signing_key(PKI / "service-account.key")
    service_names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    CLUSTER_CA.issue(
        "apiserver",
        common_name="kube-apiserver",
        hosts=[NODE_ADDRESS, API_SERVICE_ADDRESS, "127.0.0.1", *service_names],
    )
    CLUSTER_CA.issue("kubelet-serving", common_name=NODE_NAME, hosts=[NODE_NAME, NODE_ADDRESS])
    CLUSTER_CA.issue("apiserver-kubelet", common_name="apiserver-kubelet", organization="system:masters")
    for client, (common_name, group) in _CLIENTS.items():
        cert, key = CLUSTER_CA.issue(client, common_name=common_name, organization=group)
        _write_kubeconfig(
            KUBECONFIG if client == "admin" else PKI / f"{client}.kubeconfig", client, cert, key
        )
    write_yaml(STATE / "kubelet.yaml", _kubelet_config())
    write_yaml(STATE / "kube-proxy.yaml", _kube_proxy_config())
    _make_cgroup()


def etcd() -> Daemon:
    data = STATE / "etcd"
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    return Daemon(
        "etcd",
        [
            "/usr/bin/etcd",
            f"--data-dir={data}",
            # loopback of the node's own namespace: neither pods nor the machine reach it
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
            # one machine, data that `make up` can make again: an fsync per write would only cost
            "--unsafe-no-fsync",
        ],
        healthy=lambda: (data / "member" / "snap" / "db").exists(),
        env={"ETCD_UNSUPPORTED_ARCH": "arm64"},
    )


def api_server() -> Daemon:
    flags = {
        "advertise-address": NODE_ADDRESS,
        "bind-address": NODE_ADDRESS,  # bound to loopback, the `kubernetes` Service would be dead for every pod
        "secure-port": "6443",
        "etcd-servers": "http://127.0.0.1:2379",
        "service-cluster-ip-range": SERVICE_CIDR,
        "client-ca-file": CLUSTER_CA.cert_file,
        "tls-cert-file": PKI / "apiserver.crt",
        "tls-private-key-file": PKI / "apiserver.key",
        "kubelet-certificate-authority": CLUSTER_CA.cert_file,
        "kubelet-client-certificate": PKI / "apiserver-kubelet.crt",
        "kubelet-client-key": PKI / "apiserver-kubelet.key",
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": PKI / "service-account.key",
        "service-account-signing-key-file": PKI / "service-account.key",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "false",
        "profiling": "false",
        "v": "1",
    }
    return Daemon("kube-apiserver", _command("kube-apiserver", flags), healthy=lambda: api("/readyz") == "ok")


def controller_manager() -> Daemon:
    flags = {
        "kubeconfig": PKI / "controller-manager.kubeconfig",
        "service-account-private-key-file": PKI / "service-account.key",
        "root-ca-file": CLUSTER_CA.cert_file,
        "use-service-account-credentials": "true",
        "allocate-node-cidrs": "true",
        "cluster-cidr": POD_CIDR,
        "node-cidr-mask-size": "18",
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "profiling": "false",
    }
    return Daemon(
        "kube-controller-manager",
        _command("kube-controller-manager", flags),
        healthy=lambda: "default" in api("/api/v1/namespaces/default/serviceaccounts/default"),
    )


def scheduler() -> Daemon:
    flags = {
        "kubeconfig": PKI / "scheduler.kubeconfig",
        "leader-elect": "false",
        "bind-address": NODE_ADDRESS,
        "profiling": "false",
    }
    return Daemon(
        "kube-scheduler",
        _command("kube-scheduler", flags),
        healthy=lambda: _fetch(f"https://{NODE_ADDRESS}:10259/healthz", None) == "ok",
    )


def kubelet() -> Daemon:
    flags = {
        "config": STATE / "kubelet.yaml",
        "kubeconfig": PKI / "kubelet.kubeconfig",
        "root-dir": STATE / "kubelet",
        "cert-dir": PKI,
        "hostname-override": NODE_NAME,
        "node-ip": NODE_ADDRESS,
    }
    return Daemon("kubelet", _command("kubelet", flags), healthy=node_ready)


def kube_proxy() -> Daemon:
    return Daemon(
        "kube-proxy",
        _command("kube-proxy", {"config": STATE / "kube-proxy.yaml"}),
        healthy=lambda: _fetch(f"http://{NODE_ADDRESS}:10256/livez", None) is not None,
    )


def node_ready() -> bool:
    node = json.loads(api(f"/api/v1/nodes/{NODE_NAME}"))
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


def api(path: str) -> str:
    """GET a path of the API server as admin; raises urllib's errors."""
    context = ssl.create_default_context(cafile=str(CLUSTER_CA.cert_file))
    context.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
    return _fetch(SERVER + path, context)


def _fetch(url: str, context: ssl.SSLContext | None) -> str:
    if url.startswith("https:") and context is None:
        # health of a component that serves a self-signed certificate on the node's own address; nothing is sent
        context = ssl._create_unverified_context()  # noqa: S323
    with urllib.request.urlopen(url, timeout=3, context=context) as answer:  # noqa: S310 (fixed scheme)
        return str(answer.read().decode())


def _command(name: str, flags: Mapping[str, object]) -> list[str | Path]:
    return [BIN / name, *(f"--{flag}={value}" for flag, value in flags.items())]


def _kubelet_config() -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(CLUSTER_CA.cert_file)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(PKI / "kubelet-serving.crt"),
        "tlsPrivateKeyFile": str(PKI / "kubelet-serving.key"),
        "healthzBindAddress": "127.0.0.1",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",  # our pods under a root of our own: easy to find and to end
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "podLogsDir": str(STATE / "pod-logs"),
        "volumePluginDir": str(STATE / "volume-plugins"),
        "imageGCHighThresholdPercent": 100,  # off: the disk belongs to the user, and base images cannot be pulled again
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "serializeImagePulls": False,
        "syncFrequency": "20s",
        "shutdownGracePeriod": "0s",
    }


def _kube_proxy_config() -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": f"{NODE_ADDRESS}:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": str(PKI / "kube-proxy.kubeconfig")},
        "clusterCIDR": POD_CIDR,
        "mode": "iptables",
        "hostnameOverride": NODE_NAME,
        # these sysctls are the machine's, not the namespace's
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _write_kubeconfig(path: Path, user: str, cert: Path, key: Path) -> None:
    def embedded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "thinkube-local",
        "clusters": [
            {
                "name": "thinkube-local",
                "cluster": {"server": SERVER, "certificate-authority-data": embedded(CLUSTER_CA.cert_file)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": embedded(cert), "client-key-data": embedded(key)},
            }
        ],
        "contexts": [{"name": "thinkube-local", "context": {"cluster": "thinkube-local", "user": user}}],
    }
    write_yaml(path, config)


def cgroup_folders() -> list[Path]:
    """Our cgroup in every mounted hierarchy: one folder with cgroup v2, one a controller with v1."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root / CGROUP]
    return [folder / CGROUP for folder in root.iterdir() if folder.is_dir() and not folder.is_symlink()]


def _make_cgroup() -> None:
    for folder in cgroup_folders():
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
