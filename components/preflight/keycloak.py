"""Keycloak is there: it answers, the admin may log in, and the users' realm exists (unless it is to be made).

Leaves alone: what is in the realm.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from components.preflight.missing import Check, Missing, unreachable
from components.preflight.web import Answer, Deadline, Unanswered, ask, trust

SERVICE = "Keycloak"


@dataclass(frozen=True)
class Keycloak:
    """Where it is, and who logs in there."""

    url: str
    """without trailing slash"""
    realm: str
    create_realm: bool
    ca_bundle: str
    username: str
    password: str = field(repr=False)


def keycloak_check(args: Keycloak) -> Check:
    """The check."""
    return Check(
        SERVICE, _discovery(args.url, "master"), "identity.url", lambda deadline: _look(args, deadline)
    )


def _discovery(url: str, realm: str) -> str:
    return f"{url}/realms/{quote(realm, safe='')}/.well-known/openid-configuration"


def _look(args: Keycloak, deadline: Deadline) -> list[Missing]:
    try:
        # as the provider and the hub have it: with a CA bundle, nothing but the bundle is trusted
        context = trust(args.ca_bundle, system=not args.ca_bundle)
    except ValueError as error:
        remedy = "run `pulumi config set --path identity.caBundle < ca.pem`"
        return [Missing(SERVICE, f"config key identity.caBundle: {error}", "", remedy)]
    url = _discovery(args.url, "master")
    try:
        if fault := _not_keycloak(url, ask(url, deadline, context=context)):
            return [fault]
        faults = [_login(args, context, deadline)]
        if not args.create_realm:
            faults.append(_realm(args, context, deadline))
    except Unanswered as error:
        bundle = "replace the config key identity.caBundle (nothing else is trusted)" if args.ca_bundle else (
            "put the private CA that signed it into the config key identity.caBundle"
        )  # fmt: skip
        return [unreachable(SERVICE, url, "identity.url", error, bundle)]
    return [fault for fault in faults if fault]


def _not_keycloak(url: str, answer: Answer) -> Missing | None:
    """What is wrong with the answer for the realm master, which every Keycloak has."""
    if answer.status >= 500:
        remedy = "see that Keycloak and what is in front of it are up, or correct the config key identity.url"
        return Missing(SERVICE, f"it answers HTTP {answer.status}", f"GET {url}", remedy)
    if answer.status == 404:
        remedy = "correct the path in the config key identity.url (older ones end in /auth)"
        return Missing(SERVICE, "nothing is at this path (HTTP 404)", f"GET {url}", remedy)
    if answer.status != 200 or "issuer" not in _object(answer):
        cause = f"what answers is no Keycloak (HTTP {answer.status}, no discovery document)"
        return Missing(SERVICE, cause, f"GET {url}", "correct the config key identity.url")
    return None


def _login(args: Keycloak, context: ssl.SSLContext, deadline: Deadline) -> Missing | None:
    """The login that the provider makes: client admin-cli with name and password."""
    url = f"{args.url}/realms/master/protocol/openid-connect/token"
    form = {
        "grant_type": "password",
        "client_id": "admin-cli",
        "username": args.username,
        "password": args.password,
    }
    answer = ask(url, deadline, context=context, data=urlencode(form).encode())
    if answer.status == 200:
        return None
    said = _object(answer).get("error_description") or _object(answer).get("error") or ""
    reason = f"HTTP {answer.status}{f', {said}' if said else ''}"
    return Missing(
        SERVICE, f"it refuses the login of the admin {args.username} in realm master ({reason})", f"POST {url}",
        "correct the config keys keycloak_admin_username and keycloak_admin_password "
        "(or the environment variable KEYCLOAK_ADMIN_PASSWORD)",
    )  # fmt: skip


def _realm(args: Keycloak, context: ssl.SSLContext, deadline: Deadline) -> Missing | None:
    url = _discovery(args.url, args.realm)
    answer = ask(url, deadline, context=context)
    if answer.status == 200:
        return None
    there = "it has no realm" if answer.status == 404 else f"it answers HTTP {answer.status} for the realm"
    return Missing(
        SERVICE, f"{there} {args.realm}", f"GET {url}",
        "correct the config key identity.realm, or set identity.createRealm to true to have it made",
    )  # fmt: skip


def _object(answer: Answer) -> dict[str, Any]:
    try:
        content: Any = json.loads(answer.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
