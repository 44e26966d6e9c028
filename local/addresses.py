"""The Secret behind users' ~/.thinkube_env: where the platform's services are, as its administrator would provide it.

Owns the Secret's name and content. Leaves alone: how it becomes a file (components/notebook_values.py).
"""

from __future__ import annotations

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from local import git_server
from local.cluster_parts import api_client
from local.paths import KEYCLOAK_URL, REGISTRY
from local.platform import Tenant

SECRET = "service-addresses"  # noqa: S105 - its name; Pulumi.local.yaml has it too
KEY = ".thinkube_env"


def text(tenant: Tenant) -> str:
    """The file's lines, for shells and for python-dotenv."""
    addresses = {
        "THINKUBE_DOMAIN": tenant.domain,
        "KEYCLOAK_URL": KEYCLOAK_URL,
        "HARBOR_REGISTRY": REGISTRY,
        "GIT_URL": git_server.URL,
    }
    return "".join(f"{name}={value}\n" for name, value in addresses.items())


def provide(tenant: Tenant) -> None:
    """Make the Secret in the tenant's namespace, or bring it up to date."""
    core = client.CoreV1Api(api_client())
    body = {"metadata": {"name": SECRET}, "stringData": {KEY: text(tenant)}}
    try:
        core.create_namespaced_secret(tenant.namespace, body)
    except ApiException as problem:
        if problem.status != 409:
            raise
        core.patch_namespaced_secret(SECRET, tenant.namespace, body)
