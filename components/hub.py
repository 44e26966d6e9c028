"""The zero-to-jupyterhub release, and the objects beside it that it needs.

Owns the hub's right to read the catalogue, the certificate, the CA bundle and the release. Leaves alone: the
values (hub_values.py), the entry on the dashboard (service_entry.py), and whatever the chart makes by itself (service
accounts, network policies, Ingress, own secrets).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, Secret
from pulumi_kubernetes.helm.v3 import Release
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding

from components import cluster
from components.hub_values import hub_values
from components.identity import OidcUrls
from components.notebook_values import CA_FILE, HubFacts
from components.service_entry import service_config_map
from components.settings.models import Chart, Image, Settings

RELEASE = "jupyterhub"
TLS_SECRET = "jupyterhub-tls"  # noqa: S105 (a name, not a secret)
CA_CONFIG_MAP = "jupyterhub-ca"
HUB_SERVICE_ACCOUNT = "hub"  # the chart's name for it


@dataclass(frozen=True)
class JupyterHubArgs:
    """Inputs of JupyterHub."""

    cluster: cluster.Cluster
    namespace: pulumi.Output[str]
    settings: Settings
    tls_private_key: pulumi.Output[str] | None
    claims: Mapping[str, pulumi.Output[str]]
    """claim names by volume"""
    pull_secret: pulumi.Output[str]
    profile_config_map: pulumi.Output[str]
    profile_files: Sequence[str]
    oidc_secret: pulumi.Output[str]
    oidc_digest: pulumi.Output[str]
    urls: OidcUrls
    catalogue: pulumi.Output[str]
    default_image: Image


def chart_source(chart: Chart) -> dict[str, Any]:
    """Return the Release's inputs that say which chart: a path, or name and version in a repository."""
    if chart.path:
        return {"chart": chart.path}
    return {"chart": chart.name, "version": chart.version, "repository_opts": {"repo": chart.repository}}


class JupyterHub(pulumi.ComponentResource):
    """The hub with its proxy, reachable over TLS."""

    url: str
    status: pulumi.Output[str]
    """of the Helm release, e.g. "deployed\""""

    def __init__(self, name: str, args: JupyterHubArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make rights, certificate and CA bundle, then the release."""
        super().__init__("thinkube:hub:JupyterHub", name, None, opts)
        settings = args.settings
        before = [*self._catalogue_rights(name, args)]
        tls_secret = settings.hub.tls.secret_name or TLS_SECRET
        if args.tls_private_key is not None:
            before.append(self._certificate(name, args, args.tls_private_key))
        ca_bundle = settings.identity.ca_bundle
        ca: ConfigMap | None = None
        if ca_bundle:
            # not replaced but changed: running notebooks keep it mounted
            ca = ConfigMap(
                f"{name}-ca",
                metadata={"name": CA_CONFIG_MAP, "namespace": args.namespace},
                data={CA_FILE: ca_bundle},
                opts=cluster.own(self, args.cluster),
            )
            before.append(ca)
        facts = HubFacts(
            claims=args.claims,
            pull_secret=args.pull_secret,
            profile_config_map=args.profile_config_map,
            profile_files=args.profile_files,
            ca_config_map=ca.metadata.name if ca else None,
            ca_digest=hashlib.sha256(ca_bundle.encode()).hexdigest()[:16] if ca_bundle else "none",
            oidc_secret=args.oidc_secret,
            oidc_digest=args.oidc_digest,
            urls=args.urls,
            catalogue=args.catalogue,
            tls_secret=tls_secret,
            default_image=args.default_image,
        )
        release = Release(
            f"{name}-release",
            name=RELEASE,
            namespace=args.namespace,
            **chart_source(settings.hub.chart),
            values=hub_values(settings, facts),
            timeout=settings.hub.release_timeout_seconds,
            # A hub that does not come up is rolled back to the one that worked; the next `up` tries again.
            atomic=True,
            max_history=10,
            opts=cluster.own(self, args.cluster, depends_on=before),
        )
        service_config_map(name, settings, args.namespace, args.cluster, self, release)
        self.url = f"https://{settings.hub_host}"
        self.status = release.status.status
        self.register_outputs({"url": self.url, "status": self.status})

    def _catalogue_rights(self, name: str, args: JupyterHubArgs) -> list[pulumi.Resource]:
        """Let the hub read the one ConfigMap that it needs beside what the chart lets it do."""
        role = Role(
            f"{name}-catalogue",
            metadata={"namespace": args.namespace},
            rules=[
                {
                    "api_groups": [""],
                    "resources": ["configmaps"],
                    "resource_names": [args.catalogue],
                    "verbs": ["get"],
                }
            ],
            opts=cluster.own(self, args.cluster),
        )
        binding = RoleBinding(
            f"{name}-catalogue",
            metadata={"namespace": args.namespace},
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": role.metadata.name,
            },
            subjects=[{"kind": "ServiceAccount", "name": HUB_SERVICE_ACCOUNT, "namespace": args.namespace}],
            opts=cluster.own(self, args.cluster),
        )
        return [role, binding]

    def _certificate(self, name: str, args: JupyterHubArgs, key: pulumi.Output[str]) -> Secret:
        encoded = key.apply(lambda pem: base64.b64encode(pem.encode()).decode())
        return Secret(
            f"{name}-tls",
            metadata={"name": TLS_SECRET, "namespace": args.namespace},
            type="kubernetes.io/tls",
            data={
                "tls.crt": base64.b64encode(args.settings.tls_certificate.encode()).decode(),
                "tls.key": encoded,
            },
            opts=cluster.own(self, args.cluster),
        )
