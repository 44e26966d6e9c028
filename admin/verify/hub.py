"""V-HUB: the release is the configured one, hub and proxy run, and the hub answers where users open it."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import yaml

from admin.stack import REPO
from admin.verify.cluster import found, namespaced
from admin.verify.context import Context
from admin.verify.hub_api import hub
from admin.verify.model import Failed, Register
from admin.verify.web import ask, json_of
from components.hub import RELEASE
from components.settings.models import Chart
from components.verify_service import SCOPES, VERIFY_SERVICE, VERIFY_USER

check = Register()
UP = "Run `pulumi up --refresh`."


@check("V-HUB-01", "the hub runs, of the release and chart that are configured", "V-API-02")
def running(context: Context) -> str:
    """Helm's record of the release, the Deployment's chart label and image, and that it is available."""
    records = found(
        context.cluster,
        namespaced(context.namespace, "secrets"),
        "list of the release's records",
        UP,
        labelSelector=f"owner=helm,name={RELEASE}",
    )["items"]
    if not records:
        raise Failed(f"There is no Helm release {RELEASE} in {context.namespace}.", UP)
    newest = max(
        (entry["metadata"]["labels"] for entry in records), key=lambda labels: int(labels["version"])
    )
    if newest["status"] != "deployed":
        raise Failed(
            f"Release {RELEASE} is {newest['status']} at revision {newest['version']}.",
            "Run `pulumi up`; docs/operations.md has the way out of stuck states.",
        )
    deployment = _available(context, "hub")
    chart = str(deployment["metadata"].get("labels", {}).get("helm.sh/chart"))
    wanted = chart_label(context.settings.hub.chart)
    if wanted and chart != wanted:
        raise Failed(f"The hub runs chart {chart}, not {wanted} (hub.chart).", "Run `pulumi up`.", chart)
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    if (ours := context.settings.hub.image) and image != f"{ours.name}:{ours.tag}":
        raise Failed(
            f"The hub runs {image}, not {ours.name}:{ours.tag} (hub.image).", "Run `pulumi up`.", image
        )
    return f"revision {newest['version']}, chart {chart}, {image}"


@check("V-HUB-02", "the proxy runs", "V-API-02")
def proxy(context: Context) -> str:
    """Its Deployment is available."""
    _available(context, "proxy")
    return "Deployment proxy"


@check("V-HUB-03", "the hub answers at its public URL")
def health(context: Context) -> str:
    """DNS, Ingress, certificate, proxy and hub in one question."""
    where = f"The hub ({context.url})"
    answer = ask(context, "GET", f"{context.url}/hub/health", where)
    if answer.status_code != 200:
        raise Failed(
            f"{where} answers HTTP {answer.status_code} to /hub/health.",
            "404 and 503 come from the ingress controller or the proxy: see V-HUB-01, V-HUB-02, Ingress jupyterhub.",
        )
    return f"{context.url}/hub/health"


@check(
    "V-HUB-04",
    "the hub's API takes the token of the service verify, and gives it no more than its role",
    "V-HUB-03",
    "V-API-02",
)
def api(context: Context) -> str:
    """Who the hub says that the token is."""
    answer = hub(context, "GET", "hub/api/user")
    if answer.status_code in (401, 403):
        raise Failed(
            "The hub does not take the token of its Secret: it runs with an older one.",
            f"Restart it: `kubectl rollout restart -n {context.namespace} deployment/hub`.",
        )
    whom = json_of(answer, f"The hub ({context.url})")
    if whom.get("kind") != "service" or whom.get("name") != VERIFY_SERVICE:
        raise Failed(f"The token is of {whom.get('kind')} {whom.get('name')}, not of the service.", UP)
    beyond = sorted(scope for scope in whom.get("scopes") or [] if not _allowed(scope))
    if beyond:
        raise Failed(
            f"The service {VERIFY_SERVICE} may do more than it needs: {', '.join(beyond)}.",
            "Somebody gave it another role: remove it from hub.loadRoles or the hub's database.",
        )
    return f"service {VERIFY_SERVICE}, JupyterHub {json_of(hub(context, 'GET', 'hub/api/'), 'The hub').get('version')}"


def chart_label(chart: Chart) -> str:
    """The value of label helm.sh/chart that the configured chart gives; "" where its path is not on this machine."""
    name, version = chart.name, chart.version
    if chart.path:
        metadata = _chart_file(REPO / chart.path)
        if metadata is None:
            return ""
        name, version = metadata["name"], metadata["version"]
    return f"{name}-{version}".replace("+", "_")


def _chart_file(path: Path) -> dict[str, Any] | None:
    if path.is_dir():
        text = (path / "Chart.yaml").read_text(encoding="utf-8")
    elif path.is_file():
        with tarfile.open(path) as archive:
            member = next(
                m for m in archive.getmembers() if m.name.count("/") == 1 and m.name.endswith("/Chart.yaml")
            )
            text = archive.extractfile(member).read().decode()  # type: ignore[union-attr]
    else:
        return None
    metadata: dict[str, Any] = yaml.safe_load(text)
    return metadata


def _available(context: Context, name: str) -> dict[str, Any]:
    path = namespaced(context.namespace, "deployments", name, api="apis/apps/v1")
    deployment: dict[str, Any] = found(context.cluster, path, f"Deployment {name}", UP)
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    look = f"See `kubectl describe -n {context.namespace} deployment/{name}` and its pods' logs."
    if not wanted:
        raise Failed(f"Deployment {name} is scaled to 0.", UP)
    if (status.get("availableReplicas") or 0) < wanted:
        raise Failed(
            f"Deployment {name} has {status.get('availableReplicas') or 0} of {wanted} pods available.", look
        )
    if (status.get("observedGeneration") or 0) < deployment["metadata"].get("generation", 0) or (
        status.get("updatedReplicas") or 0
    ) < wanted:
        raise Failed(f"Deployment {name} is in the middle of a roll-out.", look)
    return deployment


def _allowed(scope: str) -> bool:
    """Whether a scope is one of the role's or follows from one; every service may also read itself.

    What follows from `servers`: https://jupyterhub.readthedocs.io/en/5.5.0/rbac/scopes.html
    """
    follow = ("read:servers", "delete:servers", "read:users:name")
    own = {*SCOPES, *(f"{base}!user={VERIFY_USER}" for base in follow)}
    return scope in own or scope.endswith(f"!service={VERIFY_SERVICE}")
