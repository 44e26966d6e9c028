"""The provider's own configuration: which keys there are, what they mean, and when a new cluster is meant."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.providers.kubernetes.cluster import Cluster, Kubeconfig, Unreachable
from local.providers.serve import ProviderError
from local.providers.values import UNKNOWN

_KEYS = frozenset(
    [
        "alwaysRender",
        "cluster",
        "clusterIdentifier",
        "context",
        "deleteUnreachable",
        "enableConfigMapMutable",
        "enablePatchForce",
        "enableSecretMutable",
        "enableServerSideApply",
        "helmReleaseSettings",
        "kubeClientSettings",
        "kubeconfig",
        "namespace",
        "renderYamlToDirectory",
        "skipUpdateUnreachable",
        "strictMode",
        "suppressDeprecationWarnings",
        "suppressHelmHookWarnings",
        "upsertExistingObjects",
        "version",
        "pluginDownloadURL",
    ]
)


@dataclass
class Settings:
    """A configured provider; ``cluster`` is None, with the reason in ``unreachable``, when it cannot be asked."""

    cluster: Cluster | None = None
    unreachable: str = ""
    kubeconfig: str | None = None
    context: str | None = None
    namespace: str = ""
    upsert: bool = False
    mutable_config_maps: bool = False
    mutable_secrets: bool = False
    patch_force: bool = False
    delete_unreachable: bool = False

    def reach(self) -> Cluster:
        """The cluster; raises Unreachable."""
        if self.cluster is None:
            raise Unreachable(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        return self.cluster


def refused(news: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys of a provider's arguments that cannot be honoured, each with the reason."""
    problems = [
        (key, f"{key} is not a key of the Kubernetes provider")
        for key in sorted(set(news) - _KEYS)
        if key[:2] != "__"
    ]
    if news.get("renderYamlToDirectory"):
        problems.append(
            (
                "renderYamlToDirectory",
                "the stand-in provider does not render YAML; it always acts on a cluster",
            )
        )
    if _flag(news.get("enableServerSideApply"), default=True) is False:
        problems.append(("enableServerSideApply", "the stand-in provider knows server-side apply only"))
    return problems


def read(args: Mapping[str, Any]) -> Settings:
    """The settings of a provider's arguments, with the environment variables that the official one reads."""

    def flag(key: str, variable: str) -> bool:
        return _flag(args.get(key, os.environ.get(variable)), default=False)

    settings = Settings(
        kubeconfig=args.get("kubeconfig") or None,
        context=args.get("context") or None,
        namespace=args.get("namespace") or "",
        upsert=flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
        mutable_config_maps=flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
        mutable_secrets=flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
        patch_force=flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
        delete_unreachable=flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
    )
    if UNKNOWN in (args.get("kubeconfig"), args.get("context"), args.get("cluster")):
        settings.unreachable = "the kubeconfig is not known before the update"
        return settings
    try:
        config = Kubeconfig(settings.kubeconfig, settings.context, args.get("cluster"))
        settings.namespace = settings.namespace or config.namespace
        settings.cluster = Cluster(config)
    except Unreachable as problem:
        settings.unreachable = str(problem)
    except (OSError, ValueError) as problem:
        settings.unreachable = f"the kubeconfig's certificates cannot be read: {problem}"
    return settings


def moved(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """The keys that point a provider at another cluster: its resources have to be made anew there."""
    keys = [key for key in ("kubeconfig", "context", "cluster") if olds.get(key) != news.get(key)]
    if UNKNOWN in [news.get(key) for key in keys]:
        return keys
    before, after = (_active(args) for args in (olds, news))
    return keys if before is not None and after is not None and before != after else []


def _active(args: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return Kubeconfig(args.get("kubeconfig"), args.get("context"), args.get("cluster")).cluster
    except ProviderError:
        return None


def _flag(value: Any, *, default: bool) -> bool:
    """A switch: the SDKs send JSON text for booleans."""
    return default if value is None or value == "" else value is True or str(value).lower() == "true"
