"""What runs inside the cluster from the start: DNS, a default StorageClass, an IngressClass, thinkube-control.

Applied by server-side apply under one field manager, so a second `make up` changes nothing.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import yaml
from kubernetes import client, config, dynamic
from kubernetes.client.exceptions import NotFoundException

from local.errors import PlatformError
from local.images import COREDNS_IMAGE
from local.network import upstream_dns
from local.paths import DNS_ADDRESS, DOMAIN, KUBECONFIG, NODE_ADDRESS

STORAGE_CLASS = "local-path"
PROVISIONER = "thinkube.local/host-path"
INGRESS_CLASS = "traefik"
Manifest = dict[str, Any]


def api_client() -> client.ApiClient:
    """A Kubernetes client with the admin's kubeconfig."""
    return config.new_client_from_config(str(KUBECONFIG))


def apply(manifests: list[Manifest]) -> None:
    """Server-side apply, in the given order."""
    api = dynamic.DynamicClient(api_client())
    for manifest in manifests:
        resource = api.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        resource.server_side_apply(
            body=manifest,
            name=manifest["metadata"]["name"],
            namespace=manifest["metadata"].get("namespace"),
            field_manager="thinkube-local",
            force_conflicts=True,
        )


def wait_for_deployment(namespace: str, name: str, *, within: float = 60) -> None:
    """Until all replicas are available; raises PlatformError with the pods' states after ``within`` seconds."""
    api = api_client()
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    deadline = time.monotonic() + within
    while True:
        status = apps.read_namespaced_deployment_status(name, namespace)
        if (
            status.status.observed_generation == status.metadata.generation
            and (status.status.available_replicas or 0) >= status.spec.replicas
            and (status.status.updated_replicas or 0) >= status.spec.replicas
        ):
            return
        if time.monotonic() > deadline:
            states = [
                f"{pod.metadata.name}: {pod.status.phase} "
                + " ".join(
                    (c.state.waiting.reason or "") + " " + (c.state.waiting.message or "")
                    for c in pod.status.container_statuses or []
                    if c.state.waiting
                )
                for pod in core.list_namespaced_pod(namespace).items
            ]
            raise PlatformError(
                f"Deployment {namespace}/{name} is not available after {within:.0f} s: {states}."
            )
        time.sleep(0.3)


def delete_namespaces(*names: str, within: float = 60) -> None:
    """Delete namespaces and wait until they are gone; those that are not there count as gone."""
    core = client.CoreV1Api(api_client())
    present = {item.metadata.name for item in core.list_namespace().items} & set(names)
    for name in present:
        core.delete_namespace(name)
    deadline = time.monotonic() + within
    while present & {item.metadata.name for item in core.list_namespace().items}:
        if time.monotonic() > deadline:
            raise PlatformError(f"The namespaces {sorted(present)} are still there after {within:.0f} s.")
        time.sleep(0.3)


def delete_volumes_of(namespace: str) -> None:
    """Delete the PersistentVolumes whose claims are, or were, in this namespace; what is stored stays."""
    core = client.CoreV1Api(api_client())
    for volume in core.list_persistent_volume().items:
        if volume.spec.claim_ref and volume.spec.claim_ref.namespace == namespace:
            core.delete_persistent_volume(volume.metadata.name)


def delete_reader(name: str) -> None:
    """Delete a ClusterRole and the binding of the same name; those that are not there count as gone."""
    rights = client.RbacAuthorizationV1Api(api_client())
    for delete in (rights.delete_cluster_role_binding, rights.delete_cluster_role):
        with contextlib.suppress(NotFoundException):
            delete(name)


def cluster_manifests() -> list[Manifest]:
    """CoreDNS with its Service, the StorageClass and the IngressClass."""
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {
                "name": INGRESS_CLASS,
                "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
            },
            "spec": {"controller": "traefik.io/ingress-controller"},
        },
        *_coredns(),
    ]


def corefile() -> str:
    """Cluster names, the platform's public names at the node's address, everything else upstream."""
    servers = upstream_dns()
    forward = f"    forward . {' '.join(servers)}\n" if servers else ""
    return (
        ".:1053 {\n    errors\n    health :8080\n    ready :8181\n"
        "    kubernetes cluster.local in-addr.arpa {\n        pods insecure\n    }\n"
        f'    template IN A {DOMAIN} {{\n        answer "{{{{ .Name }}}} 60 IN A {NODE_ADDRESS}"\n    }}\n'
        f"    template IN ANY {DOMAIN} {{\n        rcode NOERROR\n    }}\n"
        f"{forward}    cache 30\n    reload 5s\n}}\n"
    )


def _coredns() -> list[Manifest]:
    labels = {"k8s-app": "kube-dns"}
    meta = {"name": "coredns", "namespace": "kube-system", "labels": labels}
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    container = {
        "name": "coredns",
        "image": COREDNS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"containerPort": 1053, "name": "dns", "protocol": "UDP"},
            {"containerPort": 1053, "name": "dns-tcp"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 30},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    subject = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    manifests: list[Manifest] = yaml.safe_load(
        yaml.safe_dump(  # one copy of each shared part
            [
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRole",
                    "metadata": {"name": "system:coredns"},
                    "rules": rules,
                },
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "ClusterRoleBinding",
                    "metadata": {"name": "system:coredns"},
                    "roleRef": role,
                    "subjects": [subject],
                },
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": corefile()}},
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": meta,
                    "spec": {
                        "replicas": 1,
                        "selector": {"matchLabels": labels},
                        "template": {"metadata": {"labels": labels}, "spec": pod},
                    },
                },
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {**meta, "name": "kube-dns"},
                    "spec": {
                        "clusterIP": DNS_ADDRESS,
                        "selector": labels,
                        "ports": [
                            {"name": "dns", "port": 53, "targetPort": 1053, "protocol": "UDP"},
                            {"name": "dns-tcp", "port": 53, "targetPort": 1053, "protocol": "TCP"},
                        ],
                    },
                },
            ]
        )
    )
    return manifests


def cluster_id() -> str:
    """What tells one life of the cluster from the next: the uid of its kube-system namespace."""
    uid: str = client.CoreV1Api(api_client()).read_namespace("kube-system").metadata.uid
    return uid
