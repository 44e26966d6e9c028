"""Who somebody is, judged from what Keycloak says and what the hub knows of that name. Pure, no I/O.

Owns the rules and their sentences. A verdict is a sentence that refuses, or None. `authenticator` asks them
at every login and at every refresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

USER_INFO = "oauth_user"
"""Key of the stored state that holds Keycloak's answer about the person (oauthenticator's name for it)."""


def subject(state: object) -> str | None:
    """The `sub` in a stored or fresh auth state of any shape: what stays the same for one account only."""
    info = state.get(USER_INFO) if isinstance(state, Mapping) else None
    found = info.get("sub") if isinstance(info, Mapping) else None
    return found if isinstance(found, str) and found else None


def login_refusal(name: str, fresh: Mapping[str, Any], stored: object, verify_user: str) -> str | None:
    """Why somebody whom Keycloak calls `name` must not log in under it, if so.

    `fresh`: the state made from Keycloak's answer. `stored`: what the hub kept of the last login under that
    name; None where nobody has logged in under it yet (an administrator added the name), or where it cannot
    be read any more (the hub's encryption key was replaced): then this login claims the name.
    """
    if verify_user and name == verify_user:
        return (
            f"The name {name} is kept for the deployment's own check (make verify), and nobody can log in under "
            "it: ask your administrator to rename this account in Keycloak."
        )
    now, before = subject(fresh), subject(stored)
    if now is None:
        return (
            "Keycloak did not say which account this is (no `sub` in its answer): tell your administrator that "
            "the client's scope `openid` is missing."
        )
    if before is not None and before != now:
        return (
            f"The name {name} belongs to another account, which was in Keycloak before this one: its files and "
            "servers are not yours. Ask your administrator to release the name: on the hub's admin page stop the "
            f"servers of {name}, move the files away that are to stay private (notebooks of {name} are handed on "
            "with the name), then delete the user there and log in again."
        )
    return None


def refresh_refusal(name: str, model: Mapping[str, Any], stored: object, verify_user: str) -> str | None:
    """Why a session that is refreshed must end, if so: as at login, and the account must still have its name."""
    if model["name"] != name:
        return f"This account is called {model['name']} in Keycloak now: log out and log in again."
    return login_refusal(name, model["auth_state"], stored, verify_user)


def session_over(name: str) -> str:
    """What to do when Keycloak knows the session no more: it ended, or the account is disabled or gone."""
    return (
        f"Keycloak takes the login of {name} no more (the session ended, or the account was disabled or deleted): "
        f"{name} must log out and log in again before a server can be started."
    )


def not_allowed(name: str) -> str:
    """For somebody who may not use the hub (any more)."""
    return (
        f"{name} is in none of the groups that may use this hub: ask your administrator for one of them in "
        "Keycloak, then log out and log in again."
    )


def provider_away(service: str) -> str:
    """For a login or a start that needs an answer which does not come."""
    return (
        f"{service} does not answer, so nobody can log in and no server can be started. Servers that run already are "
        "not affected. Try again in a minute; if it stays like this, tell your administrator."
    )
