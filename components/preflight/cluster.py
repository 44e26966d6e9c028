"""What the cluster must have, asked through its API: storage, the IngressClass, thinkube-control behind its Service.

Owns which objects are looked for by which setting. Leaves alone: how the API is reached (kube_api.py). Sizes, free
space and what runs behind a class are not looked at: a class that is there is taken as one that works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

from components.preflight.kube_api import Api, ApiError, Denied
from components.preflight.kubeconfig import Choice, Json
from components.preflight.missing import Check, Missing, unreachable
from components.preflight.threads import together
from components.preflight.web import Deadline, Unanswered, ask
from components.settings.models import Settings, Storage
from components.storage import CSI_DRIVER, volume_table

SERVICE = "Kubernetes API"
CONTROL = "thinkube-control"
DATABASE_CLAIM = "hub-db-dir"
"""the chart's name for the claim of the hub's database"""
_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_CONTROL_REMEDY = "see that thinkube-control runs, or correct the config key control.url"
Look = Callable[[Api], Missing | None]


def cluster_check(settings: Settings, choice: Choice) -> Check:
    """The check: an API that does not answer is said once, not once for each thing that is looked up through it."""

    def look(deadline: Deadline) -> list[Missing]:
        try:
            api = Api(choice, deadline)
            # at once: over a slow line each question costs three round trips
            answers = together([partial(_allowed, service, one, api) for service, one in _looks(settings)])
        except ApiError as error:
            return [Missing(SERVICE, str(error), f"GET {error.tried}" if error.tried else "", error.remedy)]
        return [fault for fault in answers if fault is not None]

    return Check(SERVICE, "the cluster of the kubeconfig", "kubernetes:context", look)


def _allowed(service: str, look: Look, api: Api) -> Missing | None:
    """What `look` finds, or the permission that it lacks."""
    try:
        return look(api)
    except Denied as denied:
        remedy = f"grant it by a Role or ClusterRole, or use another account (lacking: {denied})"
        return Missing(service, "the cluster's API does not let this account look", "", remedy)


def in_cluster(url: str, namespace: str) -> tuple[str, str] | None:
    """(Service, namespace) of a cluster-internal address: service[.namespace[.svc[.<cluster domain>]]]; else None."""
    labels = (urlsplit(url).hostname or "").split(".")
    if len(labels) == 1:
        return labels[0], namespace
    if len(labels) == 2 or labels[2] == "svc":
        return labels[0], labels[1]
    return None


def control_check(url: str) -> Check:
    """The check for a thinkube-control outside of the cluster: asked from here, though the hub asks from inside."""
    wanted = f"{url}/images/jupyter"

    def look(deadline: Deadline) -> list[Missing]:
        try:
            answer = ask(wanted, deadline)
        except Unanswered as error:
            remedy = "name a bundle with its CA in SSL_CERT_FILE, and see that the hub trusts it too"
            return [unreachable(CONTROL, wanted, "control.url", error, remedy)]
        if answer.status == 404 or answer.status >= 500:
            cause = f"it answers HTTP {answer.status} from here (the hub asks it from inside the cluster)"
            return [Missing(CONTROL, cause, f"GET {wanted}", _CONTROL_REMEDY)]
        return []

    return Check(CONTROL, wanted, "control.url", look)


def _looks(settings: Settings) -> Sequence[tuple[str, Look]]:
    looks: list[tuple[str, Look]] = [("Storage", lambda api: _storage(api, settings.storage))]
    if not settings.create_namespace:
        looks.append((SERVICE, lambda api: _namespace(api, settings.namespace)))
    for volume, spec in volume_table(settings.storage).items():
        if spec.existing_claim:
            looks.append(("Storage", partial(_claim, spec.existing_claim, settings.namespace, volume)))
    looks.append(("Storage", lambda api: _database(api, settings)))
    if settings.hub.ingress_class:
        looks.append(("Ingress", lambda api: _ingress(api, settings.hub.ingress_class)))
    if (service := in_cluster(settings.control.url, settings.namespace)) is not None:
        port = urlsplit(settings.control.url).port or (
            443 if settings.control.url.startswith("https:") else 80
        )
        looks.append((CONTROL, lambda api: _control(api, *service, port)))
    return looks


def _namespace(api: Api, name: str) -> Missing | None:
    if api.get("v1", "namespaces", name) is not None:
        return None
    return Missing(
        SERVICE, f"the cluster has no namespace {name}", f"Namespace {name}",
        "correct the config key namespace, or set create_namespace to true to have it made",
    )  # fmt: skip


def _storage(api: Api, storage: Storage) -> Missing | None:
    if all(spec.existing_claim for spec in volume_table(storage).values()):
        return None  # nothing is to be made
    if storage.backend == "seaweedfs-csi" and api.get("storage.k8s.io/v1", "csidrivers", CSI_DRIVER) is None:
        return Missing(
            "Storage", f"the cluster has no SeaweedFS CSI driver {CSI_DRIVER}", f"CSIDriver {CSI_DRIVER}",
            "install the driver, or choose another by the config key storage.backend",
        )  # fmt: skip
    if storage.backend == "storageClass":
        return _class(api, storage.storage_class, "storage.storageClass")
    return None  # host paths: only the node knows


def _claim(name: str, namespace: str, volume: str, api: Api) -> Missing | None:
    if api.get("v1", "persistentvolumeclaims", name, namespace) is not None:
        return None
    return Missing(
        "Storage", f"namespace {namespace} has no claim {name}", f"PersistentVolumeClaim {name}",
        f"correct the config key storage.volumes.{volume}.existingClaim",
    )  # fmt: skip


def _class(api: Api, name: str, key: str) -> Missing | None:
    if api.get("storage.k8s.io/v1", "storageclasses", name) is not None:
        return None
    remedy = f"make it, or correct the config key {key}"
    return Missing("Storage", f"the cluster has no StorageClass {name}", f"StorageClass {name}", remedy)


def _database(api: Api, settings: Settings) -> Missing | None:
    """The class of the hub's database, unless its claim was made already."""
    key, name = "storage.hubDatabase.storageClass", settings.storage.hub_database.storage_class
    if name:
        fault = _class(api, name, key)
    elif any(_is_default(item) for item in api.list("storage.k8s.io/v1", "storageclasses")):
        fault = None
    else:
        fault = Missing(
            "Storage", "the cluster has no default StorageClass, which the hub's database needs",
            f"StorageClasses with the annotation {_DEFAULT[0]}",
            f"mark one as the default, or name one by the config key {key}",
        )  # fmt: skip
    if fault and api.get("v1", "persistentvolumeclaims", DATABASE_CLAIM, settings.namespace) is not None:
        return None
    return fault


def _is_default(item: Json) -> bool:
    annotations = (item.get("metadata") or {}).get("annotations") or {}
    return any(annotations.get(name) == "true" for name in _DEFAULT)


def _ingress(api: Api, name: str) -> Missing | None:
    if api.get("networking.k8s.io/v1", "ingressclasses", name) is not None:
        return None
    remedy = "install its controller, or correct the config key hub.ingressClass"
    return Missing("Ingress", f"the cluster has no IngressClass {name}", f"IngressClass {name}", remedy)


def _control(api: Api, service: str, namespace: str, port: int) -> Missing | None:
    """A Service with this port and a ready endpoint behind it: its address cannot be asked from outside."""
    tried = f"Service {service} in namespace {namespace}"
    found = api.get("v1", "services", service, namespace)
    if found is None:
        return Missing(
            CONTROL, f"the cluster has no Service {service} in namespace {namespace}", tried, _CONTROL_REMEDY
        )
    ports = [entry.get("port") for entry in (found.get("spec") or {}).get("ports") or []]
    if port not in ports:
        cause = f"its Service has no port {port}, but {', '.join(map(str, ports)) or 'none'}"
        return Missing(CONTROL, cause, tried, "correct the port in the config key control.url")
    slices = api.list(
        "discovery.k8s.io/v1",
        "endpointslices",
        namespace,
        labelSelector=f"kubernetes.io/service-name={service}",
    )
    if any(_is_ready(endpoint) for item in slices for endpoint in item.get("endpoints") or []):
        return None
    cause = "its Service has no ready endpoint"
    return Missing(CONTROL, cause, f"EndpointSlices of {tried}", _CONTROL_REMEDY)


def _is_ready(endpoint: Json) -> bool:
    # "nil should be interpreted as true": https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
    return (endpoint.get("conditions") or {}).get("ready") is not False
