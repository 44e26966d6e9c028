"""The Secret behind users' ~/.thinkube_env: where the platform's services are, as its administrator would provide it.

Owns the Secret's name and content. Leaves alone: how it becomes a file (components/notebook_values.py).
"""

from __future__ import annotations

import base64

from local import git_server
from local.cluster_parts import apply
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
    content = base64.b64encode(text(tenant).encode()).decode()
    metadata = {"name": SECRET, "namespace": tenant.namespace}
    apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {KEY: content}}])
