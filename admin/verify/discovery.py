"""V-DISCOVERY: thinkube-control is there, lists our images, and the hub has fresh figures of it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from admin.verify.cluster import found, namespaced
from admin.verify.context import Context
from admin.verify.hub_api import hub
from admin.verify.model import Failed, Register, Skipped, Warned
from components.images import CATALOGUE

check = Register()
AGE = "thinkube_discovery_age_seconds"
SOURCES = ("resources", "images", "catalogue")


@check("V-DISCOVERY-01", "thinkube-control has an address that is ready", "V-API-01")
def endpoints(context: Context) -> str:
    """The EndpointSlices of the Service that control.url names: its address is the cluster's own."""
    service, namespace, _, _ = _place(context)
    remedy = "See that thinkube-control runs, or correct control.url."
    found(
        context.cluster, namespaced(namespace, "services", service), f"Service {namespace}/{service}", remedy
    )
    slices = found(
        context.cluster,
        namespaced(namespace, "endpointslices", api="apis/discovery.k8s.io/v1"),
        f"list of EndpointSlices in {namespace}",
        remedy,
        labelSelector=f"kubernetes.io/service-name={service}",
    )["items"]
    ready = [
        endpoint
        for entry in slices
        for endpoint in entry.get("endpoints") or []
        # null stands for ready (Kubernetes API, EndpointConditions)
        if (endpoint.get("conditions") or {}).get("ready") is not False
    ]
    if not ready:
        raise Failed(f"Service {namespace}/{service} has no ready endpoint: nothing answers there.", remedy)
    return f"{namespace}/{service}: {len(ready)} ready"


@check("V-DISCOVERY-02", "thinkube-control lists the catalogue's images", "V-DISCOVERY-01", "V-API-02")
def lists(context: Context) -> str:
    """Its /images/jupyter, asked through the API server's service proxy."""
    service, namespace, port, base = _place(context)
    listed = found(
        context.cluster,
        f"{namespaced(namespace, 'services', f'{service}:{port}')}/proxy{base}/images/jupyter",
        "answer of thinkube-control to /images/jupyter",
        "Correct the path in control.url.",
    )
    return compared(context, listed)


def compared(context: Context, listed: object) -> str:
    """Compare thinkube-control's list with the catalogue. Raises Failed for repositories that it lacks."""
    path = namespaced(context.namespace, "configmaps", CATALOGUE)
    catalogue = found(context.cluster, path, f"ConfigMap {CATALOGUE}", "Run `pulumi up --refresh`.")
    images = json.loads(catalogue["data"]["manifest.json"])["images"]
    entries = listed if isinstance(listed, list) else []
    # where an image lies is in the entry's metadata (thinkube-control, api/jupyter_images.py)
    places = [entry.get("metadata") for entry in entries if isinstance(entry, dict)]
    known = {
        (place.get("registry"), place.get("repository"), place.get("tag"))
        for place in places
        if isinstance(place, dict)
    }
    repositories = {place[:2] for place in known}
    sync = "Set thinkube_control_token and run `pulumi up`, or press its image sync."
    missing = [
        image["name"] for image in images if (image["registry"], image["repository"]) not in repositories
    ]
    if missing:
        raise Failed(f"thinkube-control does not list {', '.join(missing)}: users cannot pick it.", sync)
    old = [
        image["name"]
        for image in images
        if (image["registry"], image["repository"], image["tag"]) not in known
    ]
    if old:
        raise Warned(f"thinkube-control lists {', '.join(old)} with another tag than the catalogue's.", sync)
    return ", ".join(image["name"] for image in images)


@check("V-DISCOVERY-03", "the hub has fresh figures", "V-HUB-04")
def fresh(context: Context) -> str:
    """The hub's own view: the age of each source's last good answer, among its metrics."""
    answer = hub(context, "GET", "hub/metrics")
    if answer.status_code != 200:
        raise Failed(
            f"The hub answers HTTP {answer.status_code} to /hub/metrics.",
            "Run `pulumi up`, then see the hub's log.",
        )
    ages = {
        sample.labels["source"]: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == AGE
    }
    if set(SOURCES) - set(ages):
        raise Failed(f"The hub's metrics have no {AGE}.", "Run `pulumi up`: this hub has older code.")
    limit = context.settings.control.stale_after_seconds
    stale = {source: age for source, age in ages.items() if age > limit}
    seen = ", ".join(f"{source} {age:.0f} s" for source, age in sorted(ages.items()))
    if stale:
        worst = ", ".join(f"{name} ({_age(age)})" for name, age in sorted(stale.items()))
        raise Failed(
            f"The hub's figures are stale: {worst}; from {limit:g} s on starts are refused.",
            "See the hub's log for what it cannot reach: thinkube-control (control.url) or the cluster's API.",
            seen,
        )
    return seen


def _age(seconds: float) -> str:
    return "no answer so far" if seconds == float("inf") else f"{seconds:.0f} s"


def _place(context: Context) -> tuple[str, str, int, str]:
    """Service, namespace, port and path of control.url. Raises Skipped for an address outside the cluster."""
    parts = urlsplit(context.settings.control.url)
    labels = (parts.hostname or "").split(".")
    inside = len(labels) <= 2 or labels[2] == "svc"
    if not inside or parts.scheme != "http":
        raise Skipped(
            f"control.url ({context.settings.control.url}) is no Service of this cluster; V-DISCOVERY-03 looks at what "
            "the hub gets of it."
        )
    namespace = labels[1] if len(labels) > 1 else context.namespace
    return labels[0], namespace, parts.port or 80, parts.path.rstrip("/")
