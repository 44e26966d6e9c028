"""Kubernetes objects of the thinkube-control stand-in, one set per stack.

Owns what runs the service: namespace, account, read rights, token Secret, Deployment and the Service
`backend` that the production URL names. Leaves alone how they are applied, and the image's build.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PORT = 8000
"""Port of Service and container, as in `http://backend.thinkube-control.svc.cluster.local:8000/api/v1`."""

TOKEN_PREFIX = "tk_"  # noqa: S105 - the prefix of every thinkube-control API token, not a token
_SECRET = "control-token"  # noqa: S105 - the name of the Secret
_UID = 10001


def manifests(
    namespace: str,
    image: str,
    token_secret: str,
    image_namespaces: Sequence[str] = (),
    *,
    cache_seconds: float = 2,
    pull_secrets: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Objects of one stand-in, in the order in which they can be applied.

    `token_secret` is the bearer token that `POST /harbor/images/sync` and `PUT /jupyterhub/config` ask for;
    like every API token of thinkube-control it begins with `tk_` (ValueError otherwise: the service would
    refuse it). It goes into the Secret alone. `image_namespaces` bounds where image manifests are looked
    for, so that two stacks on one cluster do not list each other's images; empty means every namespace, as
    thinkube-control does. `cache_seconds` is the age that `/cluster/resources` may reach. `pull_secrets`
    names image pull Secrets that exist in the namespace.
    """
    if not token_secret.startswith(TOKEN_PREFIX):
        raise ValueError(
            "The token of the thinkube-control stand-in must begin with 'tk_': generate one that does, "
            "and give the same value to thinkube_control_token."
        )
    labels = {"app.kubernetes.io/name": "thinkube-control", "app.kubernetes.io/component": "backend"}
    # Cluster-wide objects carry the namespace in their names: two stacks must not share, or delete, each
    # other's.
    reader = f"{namespace}-reader"
    account = {"kind": "ServiceAccount", "name": "backend", "namespace": namespace}

    def meta(name: str, *, cluster_wide: bool = False) -> dict[str, Any]:
        return {"name": name, "labels": labels} | ({} if cluster_wide else {"namespace": namespace})

    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": labels | {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("backend")},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": meta(reader, cluster_wide=True),
            "rules": [
                {"apiGroups": [""], "resources": ["nodes", "pods", "configmaps"], "verbs": ["get", "list"]},
                {
                    "apiGroups": ["apps"],
                    "resources": ["deployments", "statefulsets", "daemonsets"],
                    "verbs": ["get"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta(reader, cluster_wide=True),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": reader},
            "subjects": [account],
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta(_SECRET),
            "type": "Opaque",
            "stringData": {"token": token_secret},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta("backend"),
            "spec": {
                "replicas": 1,
                # What it knows lies in memory: two at once would answer differently.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": _pod(image, image_namespaces, cache_seconds, pull_secrets),
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta("backend"),
            "spec": {"selector": labels, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]},
        },
    ]


def _pod(
    image: str, image_namespaces: Sequence[str], cache_seconds: float, pull_secrets: Sequence[str]
) -> dict[str, Any]:
    """The pod's spec: inside Pod Security `restricted`, small enough for a two-core machine."""
    return {
        "serviceAccountName": "backend",
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _UID,
            "runAsGroup": _UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "backend",
                "image": image,
                "ports": [{"name": "http", "containerPort": PORT}],
                "env": [
                    {
                        "name": "CONTROL_TOKEN",
                        "valueFrom": {"secretKeyRef": {"name": _SECRET, "key": "token"}},
                    },
                    {"name": "IMAGE_NAMESPACES", "value": ",".join(image_namespaces)},
                    {"name": "CACHE_SECONDS", "value": str(cache_seconds)},
                    {"name": "PORT", "value": str(PORT)},
                ],
                "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 2},
                "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}, "failureThreshold": 5},
                "resources": {
                    "requests": {"cpu": "10m", "memory": "48Mi"},
                    "limits": {"cpu": "500m", "memory": "128Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
