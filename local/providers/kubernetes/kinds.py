"""The kinds that the stand-in knows, and what the official provider does with each.

Sources: pulumi-kubernetes 4.34 (which changes force a new object, ``provider/pkg/provider/diff.go``) and the
Kubernetes 1.34 API (paths, scope, top-level fields).
"""

from __future__ import annotations

from dataclasses import dataclass

from local.providers.serve import ProviderError

RELEASE = "kubernetes:helm.sh/v3:Release"


@dataclass(frozen=True)
class Kind:
    """One kind: where the API server keeps it, its top-level fields, and the paths whose change forces a new object."""

    api_version: str
    kind: str
    plural: str
    fields: tuple[str, ...]
    namespaced: bool = True
    replacing: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """The name that the API server uses in its messages: ``ingresses.networking.k8s.io``."""
        group = self.api_version.rpartition("/")[0]
        return f"{self.plural}.{group}" if group else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace or 'default'}" if self.namespaced else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


# Every field of a volume's source: a volume cannot be moved.
_VOLUME_SOURCES = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
]

_KINDS = (
    Kind("v1", "Namespace", "namespaces", ("spec",), namespaced=False),
    Kind(
        "v1",
        "PersistentVolume",
        "persistentvolumes",
        ("spec",),
        namespaced=False,
        replacing=tuple(f"spec.{source}" for source in _VOLUME_SOURCES),
    ),
    Kind(
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        ("spec",),
        replacing=("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    ),
    Kind(
        "v1", "ConfigMap", "configmaps", ("data", "binaryData", "immutable"), replacing=("data", "binaryData")
    ),
    Kind(
        "v1",
        "Secret",
        "secrets",
        ("data", "stringData", "type", "immutable"),
        replacing=("type", "data", "stringData"),
    ),
    Kind(
        "v1",
        "ServiceAccount",
        "serviceaccounts",
        ("automountServiceAccountToken", "imagePullSecrets", "secrets"),
    ),
    Kind("rbac.authorization.k8s.io/v1", "Role", "roles", ("rules",)),
    Kind(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "rolebindings",
        ("roleRef", "subjects"),
        replacing=("roleRef",),
    ),
    Kind(
        "batch/v1",
        "Job",
        "jobs",
        ("spec",),
        replacing=("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ),
    Kind("batch/v1", "CronJob", "cronjobs", ("spec",)),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", ("spec",)),
    Kind("networking.k8s.io/v1", "Ingress", "ingresses", ("spec",)),
)

_BY_TOKEN = {
    f"kubernetes:{kind.api_version if '/' in kind.api_version else f'core/{kind.api_version}'}:{kind.kind}": kind
    for kind in _KINDS
}


def kind_of(token: str) -> Kind:
    """The kind of a type token; raises ProviderError that names the type and what is known instead."""
    try:
        return _BY_TOKEN[token]
    except KeyError:
        known = ", ".join(sorted([*_BY_TOKEN, RELEASE]))
        raise ProviderError(
            f"{token} is not among the types the stand-in Kubernetes provider knows: {known}. "
            "Use one of these, or install the official pulumi-resource-kubernetes plugin."
        ) from None


def replacing(
    kind: Kind, *, mutable_config_maps: bool, mutable_secrets: bool, immutable: bool
) -> tuple[str, ...]:
    """The paths whose change forces a new object, under the provider's ``enable...Mutable`` settings."""
    paths = kind.replacing
    if kind.kind == "ConfigMap" and mutable_config_maps and not immutable:
        paths = ()
    if kind.kind == "Secret" and mutable_secrets and not immutable:
        paths = ("type",)
    return ("metadata.name", "metadata.namespace", *paths)
