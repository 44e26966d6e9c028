"""Questions to JupyterHub with the token of the service `verify`, over the public URL.

The token is read from the cluster when it is first needed, and kept for the run only.
"""

from __future__ import annotations

from typing import Any

import httpx

from admin.verify.cluster import found, namespaced, secret_value
from admin.verify.context import Context
from admin.verify.model import Failed
from admin.verify.web import ask
from components.verify_service import TOKEN_KEY, TOKEN_SECRET


def token(context: Context) -> str:
    """The service's token. Raises Failed if the hub's Secret has none."""
    if "token" not in context.notes:
        up = "Run `pulumi up`: this hub was deployed before it had the service `verify`."
        secret = found(
            context.cluster,
            namespaced(context.namespace, "secrets", TOKEN_SECRET),
            f"Secret {TOKEN_SECRET}",
            up,
        )
        value = secret_value(secret, TOKEN_KEY)
        if not value:
            raise Failed(f"Secret {TOKEN_SECRET} has no {TOKEN_KEY}.", up)
        context.notes["token"] = value
    return str(context.notes["token"])


def hub(context: Context, method: str, path: str, **arguments: Any) -> httpx.Response:
    """The answer to `method` on `path` below the hub's URL, e.g. `hub/api/user` or `user/NAME/api/contents`."""
    return ask(
        context,
        method,
        f"{context.url}/{path}",
        f"The hub ({context.url})",
        headers={"Authorization": f"token {token(context)}"},
        **arguments,
    )
