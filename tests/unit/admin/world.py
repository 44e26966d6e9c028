"""A stack in which everything is well, as the API server, Keycloak, the registry and the hub would show it.

Tests break one thing and look at what the check of it says. Shapes are those seen on the embedded platform.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from components.verify_service import SCOPES, TOKEN_KEY
from tests.unit.admin.fakes import FakeCluster, FakeWeb

NS = "/api/v1/namespaces/jupyterhub"
HUB = "https://jupyter.example.org"
KEYCLOAK = "https://auth.example.org"
ADMIN = f"{KEYCLOAK}/admin/realms/thinkube"
LOGIN = f"{KEYCLOAK}/realms/master/protocol/openid-connect/token"
ISSUER = f"{KEYCLOAK}/realms/thinkube/.well-known/openid-configuration"
REGISTRY = "https://harbor.example.org/v2"
DIGEST = "sha256:" + "a" * 64
MANIFEST = f"{REGISTRY}/library/tk-jupyter-scipy/manifests/{DIGEST}"
CATALOGUE = f"{NS}/configmaps/jupyterhub-image-catalogue"
PULL = f"{NS}/secrets/harbor-pull"
RECORDS = f"{NS}/secrets"
CONTROL = "/api/v1/namespaces/thinkube-control/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/thinkube-control/endpointslices"
APPS = "/apis/apps/v1/namespaces/jupyterhub/deployments"
CRON = "/apis/batch/v1/namespaces/jupyterhub/cronjobs/thinkube-ai-examples-sync"
JOBS = "/apis/batch/v1/namespaces/jupyterhub/jobs"
CLIENT = f"{ADMIN}/clients"


def encoded(**data: str) -> dict[str, Any]:
    """A Secret."""
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def ago(**amount: float) -> str:
    """A time as the API server writes it."""
    return (datetime.now(UTC) - timedelta(**amount)).strftime("%Y-%m-%dT%H:%M:%SZ")


def docker_config(word: str = "the harbor_robot_token") -> dict[str, Any]:
    """The pull Secret."""
    entry = {"username": "robot$thinkube", "password": word}
    return encoded(**{".dockerconfigjson": json.dumps({"auths": {"harbor.example.org": entry}})})


def catalogue(**metadata: Any) -> dict[str, Any]:
    """The catalogue ConfigMap with one image."""
    image = {
        "name": "tk-jupyter-scipy", "registry": "harbor.example.org", "repository": "library/tk-jupyter-scipy",
        "tag": "abc", "metadata": {"digest": DIGEST, **metadata},
    }  # fmt: skip
    return {"data": {"manifest.json": json.dumps({"manifest_version": "1.0", "images": [image]})}}


def deployment(name: str) -> dict[str, Any]:
    """An available Deployment of the chart."""
    container = {"name": name, "image": f"quay.io/jupyterhub/{name}:4.4.0"}
    return {
        "metadata": {"name": name, "generation": 1, "labels": {"helm.sh/chart": "jupyterhub-4.4.0"}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}},
        "status": {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1},
    }


def record(version: int, status: str) -> dict[str, Any]:
    """Helm's record of one revision."""
    return {"metadata": {"labels": {"owner": "helm", "version": str(version), "status": status}}}


def client(**changes: Any) -> dict[str, Any]:
    """The hub's client in Keycloak."""
    mapper = {"claim.name": "groups", "full.path": "true", "userinfo.token.claim": "true"}
    return {
        "id": "c1", "clientId": "jupyterhub", "enabled": True, "publicClient": False, "standardFlowEnabled": True,
        "implicitFlowEnabled": False, "directAccessGrantsEnabled": False, "serviceAccountsEnabled": False,
        "redirectUris": [f"{HUB}/hub/oauth_callback"], "attributes": {"pkce.code.challenge.method": "S256"},
        "protocolMappers": [{"protocolMapper": "oidc-group-membership-mapper", "config": mapper}], **changes,
    }  # fmt: skip


def job(name: str, condition: str, when: str) -> dict[str, Any]:
    """A Job of the CronJob that ended."""
    return {
        "metadata": {
            "name": name, "creationTimestamp": when,
            "ownerReferences": [{"kind": "CronJob", "name": "thinkube-ai-examples-sync"}],
        },
        "status": {"completionTime": when, "conditions": [{"type": condition, "status": "True"}]},
    }  # fmt: skip


def metrics(**ages: str) -> httpx.Response:
    """The hub's /metrics with the figures' ages."""
    shown = {"resources": "2.0", "images": "2.5", "catalogue": "1.0", **ages}
    lines = [f'thinkube_discovery_age_seconds{{source="{name}"}} {age}' for name, age in shown.items() if age]
    head = "# HELP thinkube_discovery_age_seconds Age\n# TYPE thinkube_discovery_age_seconds gauge\n"
    return httpx.Response(200, text=head + "\n".join(lines) + "\n")


def listed_image(tag: str) -> dict[str, Any]:
    """An entry of thinkube-control's /images/jupyter: where the image lies is in its metadata."""
    place = {"registry": "harbor.example.org", "repository": "library/tk-jupyter-scipy", "tag": tag}
    shown = {"display_name": "Data work", "description": "x", "default": True}
    return {"name": "tk-jupyter-scipy", **shown, "metadata": {"image_size": None, **place}}


def fill(cluster: FakeCluster, web: FakeWeb) -> None:
    """Make all well."""
    bound = {"status": {"phase": "Bound"}}
    listed = [listed_image("abc")]
    cluster.objects |= {
        "/version": {"gitVersion": "v1.34.4"},
        NS: {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
        f"{NS}/persistentvolumeclaims/jupyter-notebooks-pvc": bound,
        f"{NS}/persistentvolumeclaims/jupyterhub-examples-pvc": bound,
        f"{NS}/persistentvolumeclaims/hub-db-dir": bound,
        f"{NS}/secrets/jupyterhub-oidc-secret": encoded(client_secret="s3cret"),
        f"{NS}/secrets/hub": encoded(**{TOKEN_KEY: "t0ken"}),
        PULL: docker_config(),
        CATALOGUE: catalogue(),
        f"{CONTROL}/backend": {},
        SLICES: {"items": [{"endpoints": [{"conditions": {"ready": True}}]}]},
        f"{CONTROL}/backend:8000/proxy/api/v1/images/jupyter": listed,
        RECORDS: {"items": [record(1, "superseded"), record(10, "deployed"), record(9, "superseded")]},
        f"{APPS}/hub": deployment("hub"),
        f"{APPS}/proxy": deployment("proxy"),
        "/api/v1/nodes": {"items": [{"metadata": {"name": "n1"}, "status": {"capacity": {"cpu": "2"}}}]},
        CRON: {"spec": {"schedule": "23 4 * * *"}, "status": {"lastSuccessfulTime": ago(hours=3)}},
        JOBS: {"items": []},
        "/apis/storage.k8s.io/v1/csidrivers/seaweedfs-csi-driver": {},
        "/apis/storage.k8s.io/v1/csinodes": {
            "items": [
                {"metadata": {"name": name}, "spec": {"drivers": [{"name": "seaweedfs-csi-driver"}]}}
                for name in ("n1", "n2")
            ]
        },
    }
    web.answers |= {
        ("GET", ISSUER): {"issuer": f"{KEYCLOAK}/realms/thinkube"},
        ("POST", LOGIN): {"access_token": "admin-token"},
        ("GET", CLIENT): [client()],
        ("GET", f"{CLIENT}/c1/client-secret"): {"type": "secret", "value": "s3cret"},
        ("GET", f"{ADMIN}/group-by-path/jupyter_admin"): {"name": "jupyter_admin"},
        ("GET", f"{REGISTRY}/"): {},
        ("HEAD", MANIFEST): httpx.Response(200, headers={"Docker-Content-Digest": DIGEST}),
        ("GET", f"{HUB}/hub/health"): httpx.Response(200),
        ("GET", f"{HUB}/hub/api/"): {"version": "5.5.0"},
        ("GET", f"{HUB}/hub/api/user"): {"kind": "service", "name": "verify", "scopes": list(SCOPES)},
        ("GET", f"{HUB}/hub/metrics"): metrics(),
    }
