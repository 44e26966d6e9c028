"""The hub's side of `make verify`: a service with a token, and the role that bounds it. Pure.

The chart makes the token (Secret `hub`, key `hub.services.verify.apiToken`) and keeps it over upgrades; whoever may
read that Secret has the hub's own keys beside it. The role reaches one user, who is nobody: no login is let in under
that name.
"""

from __future__ import annotations

from typing import Any

VERIFY_SERVICE = "verify"
VERIFY_USER = "thinkube-verify"
TOKEN_SECRET = "hub"  # noqa: S105 (a name, not a secret)
TOKEN_KEY = f"hub.services.{VERIFY_SERVICE}.apiToken"
SCOPES = (
    # to make and to delete that user; there is no narrower scope for making one (JupyterHub 5.5)
    f"admin:users!user={VERIFY_USER}",
    # to start and stop its server, and to write a file through it
    f"servers!user={VERIFY_USER}",
    f"access:servers!user={VERIFY_USER}",
    # the age of the hub's figures; metrics name no user
    "read:metrics",
)
"""https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html"""


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
        }
    }
