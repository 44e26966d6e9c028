"""The Kubernetes control plane and node: etcd, API server, controller manager, scheduler, kubelet, kube-proxy.

All run as processes inside the node's network namespace, from one binary (``local/tools/kubernetes``). Their
certificates and files are ``kubernetes_config.py``'s; containerd is next door in ``containers.py``.
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from local.daemons import Daemon
from local.kubernetes_config import CLUSTER_CA, NODE_NAME, PKI, SERVER
from local.paths import BIN, NODE_ADDRESS, POD_CIDR, SERVICE_CIDR, STATE


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
