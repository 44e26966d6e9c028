"""Certificates, kubeconfigs and configuration files of the Kubernetes parts that ``kubernetes_node.py`` runs.

Written before anything starts, and again only when they change.
"""

from __future__ import annotations

import base64
from pathlib import Path

from local import cgroups, pki
from local.files import write_yaml
from local.paths import (
    API_SERVICE_ADDRESS,
    CONTAINERD_SOCKET,
    DNS_ADDRESS,
    KUBECONFIG,
    NAME,
    NODE_ADDRESS,
    POD_CIDR,
    STATE,
)

NODE_NAME = NAME
SERVER = f"https://{NODE_ADDRESS}:6443"
PKI = STATE / "pki"
CLUSTER_CA = pki.Authority(PKI, "cluster-ca")

# who: (common name, group) as Kubernetes' default RBAC expects them
# https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
_CLIENTS = {
    "admin": (f"{NAME}-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
}


def prepare() -> None:
    """Write certificates, kubeconfigs and the kubelet's and kube-proxy's configuration files; make the cgroup."""
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
    cgroups.make()


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
        "cgroupRoot": f"/{NAME}",  # our pods under a root of our own: easy to find and to end
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
        "current-context": NAME,
        "clusters": [
            {
                "name": NAME,
                "cluster": {"server": SERVER, "certificate-authority-data": embedded(CLUSTER_CA.cert_file)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": embedded(cert), "client-key-data": embedded(key)},
            }
        ],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": user}}],
    }
    write_yaml(path, config)
