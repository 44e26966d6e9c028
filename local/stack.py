"""The program's stacks on the embedded platform: configuration, tools on PATH, deploy and destroy.

The checked-in ``Pulumi.local.yaml`` plus what only this machine knows gives the stack's configuration. State and
configuration live in the platform's data folder; no command writes into the working tree.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local import addresses, cluster_parts, git_server, ingress, recovery, seaweed
from local import credentials as credential_store
from local import versions as pinned
from local.credentials import Credentials
from local.engine import PROVIDERS, Stack, Summary
from local.paths import (
    BIN,
    CA_BUNDLE,
    CA_FILE,
    CACHE,
    DATA,
    DOCKER_SOCKET,
    KEYCLOAK_URL,
    KUBECONFIG,
    REGISTRY,
    REPO,
)
from local.platform import BuiltImages, Tenant
from local.progress import console

CHART = REPO / "local" / "charts" / "jupyterhub"


def open_stack(tenant: Tenant, credentials: Credentials, *, program: Path = REPO) -> Stack:
    """The tenant's stack with everything on PATH that the engine needs; official plugins win over stand-ins."""
    return Stack(
        program,
        tenant.stack,
        folder=DATA / "pulumi" / tenant.stack,
        passphrase=credentials.pulumi_passphrase,
        path=[BIN, Path(sys.executable).parent, *_providers()],
        env={
            "KUBECONFIG": str(KUBECONFIG),
            "THINKUBE_PYTHON": sys.executable,
            "HELM_CACHE_HOME": str(CACHE / "helm"),
            # the providers' and the program's TLS: the system's CAs and the platform's own
            "SSL_CERT_FILE": str(CA_BUNDLE),
            "REQUESTS_CA_BUNDLE": str(CA_BUNDLE),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        report=lambda line: console.print(f"    [dim]{line}[/dim]"),
    )


def configure(
    stack: Stack,
    tenant: Tenant,
    credentials: Credentials,
    built: BuiltImages,
) -> None:
    """Write the stack's configuration: ``Pulumi.local.yaml``, what only this machine knows, and the secrets."""
    cert, key = ingress.issue_for(tenant.hub_host)
    values = merged(base_config(), _machine_values(tenant, built, cert))
    source = stack.folder / "values.yaml"
    prefix = f"{stack.project}:"
    source.write_text(yaml.safe_dump({"config": {prefix + name: value for name, value in values.items()}}))
    stack.load_config(source)
    stack.set_config(
        secrets={
            "harbor_robot_token": credentials.harbor_robot,
            "keycloak_admin_password": credentials.keycloak_admin,
            "thinkube_control_token": credentials.control_token,
            "tls_private_key": key,
        }
    )


def base_config() -> dict[str, Any]:
    """The plain values of ``Pulumi.local.yaml``, keys without the project's name."""
    config = yaml.safe_load((REPO / "Pulumi.local.yaml").read_text())["config"]
    return {key.partition(":")[2]: value for key, value in config.items()}


def deploy(stack: Stack, tenant: Tenant) -> Summary:
    """``pulumi up``; reads the world first where the cluster is not the one that the state was written for, and clears
    up after an engine that was killed at work.
    """
    if cleared := recovery.settle(stack, tenant.namespace, credential_store.load()):
        console.print(f"    [dim]cleared up after a killed operation on {', '.join(cleared)}[/dim]")
    known = stack.folder / "cluster"
    life = cluster_parts.cluster_id()
    fresh_cluster = known.exists() and known.read_text() != life
    summary = stack.up(refresh=fresh_cluster)
    addresses.provide(tenant)
    known.write_text(life)
    return summary


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees of mappings as one; at a leaf ``over`` wins."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = (
            merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return result


def _machine_values(tenant: Tenant, built: BuiltImages, certificate: str) -> dict[str, Any]:
    def image(reference: str) -> dict[str, str]:
        name, _, tag = reference.rpartition(":")
        return {"name": name, "tag": tag}

    return {
        "domain_name": tenant.domain,
        "harbor_registry": REGISTRY,
        "namespace": tenant.namespace,
        "tls_certificate": certificate,
        "identity": {"url": KEYCLOAK_URL, "realm": tenant.realm, "caBundle": CA_FILE.read_text()},
        "storage": {"hostPathRoot": str(seaweed.folder(tenant.stack))},
        "images": {"buildArgs": {"BASE": built.base}, "dockerHost": f"unix://{DOCKER_SOCKET}"},
        "hub": {
            "chart": {"path": str(chart_path())},
            "image": image(built.hub),
            "proxyImage": image(built.proxy),
        },
        "control": {"url": tenant.control_url},
        "examples": {"repositories": [{"url": f"{git_server.URL}/{git_server.EXAMPLES}.git"}]},
    }


def chart_path() -> Path:
    """The stand-in chart, unless the real one was put into the cache (`helm pull` with the pinned version)."""
    real = CACHE / "charts" / f"jupyterhub-{pinned.JUPYTERHUB_CHART}.tgz"
    return real if real.exists() else CHART


def _providers() -> list[Path]:
    """The stand-in plugins' folder, unless the official ones are installed on this machine."""
    official = all(shutil.which(f"pulumi-resource-{name}") for name in ("kubernetes", "keycloak", "docker"))
    return [] if official else [PROVIDERS]
