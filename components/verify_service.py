"""The hub's side of `make verify`: a service with a token, and the role that bounds it. Pure.

The chart makes the token (Secret `hub`, key `hub.services.verify.apiToken`) and keeps it over upgrades; whoever may
read that Secret has the hub's own keys beside it. The role reaches one user, who is nobody: no login is let in under
that name.
"""

from __future__ import annotations

from typing import Any

VERIFY_SERVICE = "verify"
VERIFY_USER = "thinkube-verify"
"""the hub's own user: it exists in no Keycloak, and nobody can log in under its name (notebooks-profile/)"""
TOKEN_SECRET = "hub"  # noqa: S105 (a name, not a secret)
TOKEN_KEY = f"hub.services.{VERIFY_SERVICE}.apiToken"
SCOPES = (
    # to start and stop its server, and to write a file through it
    f"servers!user={VERIFY_USER}",
    f"access:servers!user={VERIFY_USER}",
    # the age of the hub's figures; metrics name no user
    "read:metrics",
)
"""https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html

Not `admin:users!user=...`: with it, `POST /users` makes users of any name (JupyterHub 5.5, tried). The hub makes the
one user itself, since a role names it.
"""


def services() -> dict[str, Any]:
    """Value of `hub.services`."""
    return {VERIFY_SERVICE: {"display": False}}


def roles() -> dict[str, Any]:
    """Value of `hub.loadRoles`."""
    return {
        VERIFY_SERVICE: {
            "description": f"make verify: one throw-away server of {VERIFY_USER}",
            "scopes": list(SCOPES),
            "services": [VERIFY_SERVICE],
        },
        # gives nothing that a user does not have; the hub makes the users that its roles name
        f"{VERIFY_SERVICE}-user": {
            "description": f"{VERIFY_USER} exists",
            "scopes": ["self"],
            "users": [VERIFY_USER],
        },
    }
