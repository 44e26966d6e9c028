"""V-IDENTITY: Keycloak's side of the login, read with the stack's own admin account and never changed."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import quote

from admin.verify.cluster import found, namespaced, secret_value
from admin.verify.context import Context
from admin.verify.model import Failed, Register, Skipped
from admin.verify.web import ask, json_of
from components.identity import OIDC_SECRET, OIDC_SECRET_KEY, redirect_uri

check = Register()
MAPPER = "oidc-group-membership-mapper"
"""Keycloak's name of the type of protocol mapper that writes groups into a claim."""
UP = "Run `pulumi up --refresh`."


@check("V-IDENTITY-01", "Keycloak answers, has the realm and takes the stack's admin account")
def answers(context: Context) -> str:
    """The realm as browsers and hub see it, then a login of the admin."""
    base, realm = context.settings.keycloak_url, context.settings.identity.realm
    where = f"Keycloak ({base}; identity.url)"
    response = ask(context, "GET", f"{base}/realms/{quote(realm)}/.well-known/openid-configuration", where)
    if response.status_code == 404:
        raise Failed(f"{where} has no realm {realm}.", "Set identity.realm, or identity.createRealm to true.")
    issuer = str(json_of(response, where).get("issuer"))
    if issuer != f"{base}/realms/{realm}":
        raise Failed(
            f"Keycloak calls itself {issuer}, not {base}/realms/{realm}: logins will be refused.",
            "Set Keycloak's public URL (its option `hostname`), or identity.url.",
        )
    password = context.secret("keycloak_admin_password")
    if not password:
        raise Failed(
            "There is no keycloak_admin_password in the stack or the environment.",
            "Run `pulumi config set --secret keycloak_admin_password`.",
        )
    user = context.settings.keycloak_admin_username
    login = ask(
        context, "POST", f"{base}/realms/master/protocol/openid-connect/token", where,
        data={"grant_type": "password", "client_id": "admin-cli", "username": user, "password": password},
    )  # fmt: skip
    if login.status_code in (400, 401):
        raise Failed(
            f"Keycloak refuses its admin {user}.",
            "Set keycloak_admin_username and keycloak_admin_password.",
        )
    context.notes["keycloak"] = str(json_of(login, where)["access_token"])
    return issuer


@check(
    "V-IDENTITY-02",
    "the client is confidential, standard flow with PKCE only, and leads back to this hub",
    "V-IDENTITY-01",
)
def client(context: Context) -> str:
    """Whatever else the client allows is another way in."""
    identity = context.settings.identity
    listed = _admin(context, f"/clients?clientId={quote(identity.client_id, safe='')}")
    if not listed:
        raise Failed(f"Realm {identity.realm} has no client {identity.client_id} (identity.clientId).", UP)
    entry: dict[str, Any] = listed[0]
    context.notes["client"] = entry
    attributes = entry.get("attributes") or {}
    ours = redirect_uri(context.url)
    uris = sorted(entry.get("redirectUris") or [])
    # an existing client may have other users, whose addresses are not ours to judge
    leads_back = uris == [ours] if identity.create_client else ours in uris
    faults = [
        sentence
        for wrong, sentence in (
            (not entry.get("enabled"), "it is disabled"),
            (entry.get("publicClient"), "it is public: it logs in without a secret"),
            (not entry.get("standardFlowEnabled"), "the standard flow is off"),
            (entry.get("implicitFlowEnabled"), "the implicit flow is on"),
            (entry.get("directAccessGrantsEnabled"), "direct access grants (passwords to the client) are on"),
            (entry.get("serviceAccountsEnabled"), "it has a service account"),
            (attributes.get("oauth2.device.authorization.grant.enabled") == "true", "the device flow is on"),
            (attributes.get("pkce.code.challenge.method") != "S256", "PKCE with S256 is not demanded"),
            (
                not leads_back,
                f"its redirect URIs are {', '.join(uris) or 'none'}, not {ours}"
                + (" alone" if identity.create_client else ""),
            ),
        )
        if wrong
    ]  # fmt: skip
    if faults:
        raise Failed(f"Client {identity.client_id}: {'; '.join(faults)}.", _mend(context))
    return f"{identity.client_id} -> {ours}"


@check("V-IDENTITY-03", "the client's tokens carry the user's groups", "V-IDENTITY-02")
def mapper(context: Context) -> str:
    """A group membership mapper into the claim that the hub reads, from the userinfo endpoint."""
    identity = context.settings.identity
    claim = identity.groups_claim
    if not identity.groups_mapper:
        raise Skipped("identity.groupsMapper is empty: the claim comes from a client scope.")
    mappers = context.notes["client"].get("protocolMappers") or []
    fitting = [entry.get("config") or {} for entry in mappers if entry.get("protocolMapper") == MAPPER]
    named = [config for config in fitting if config.get("claim.name") == claim]
    if not named:
        others = ", ".join(str(config.get("claim.name")) for config in fitting) or "none"
        raise Failed(
            f"No group membership mapper writes the claim {claim} (claims that have one: {others}).",
            _mend(context),
        )
    if not any(config.get("userinfo.token.claim") == "true" for config in named):
        raise Failed(
            f"The mapper of the claim {claim} leaves out the userinfo endpoint, which the hub reads.",
            _mend(context),
        )
    wanted = "true" if identity.groups_full_path else "false"
    if not any(config.get("full.path") == wanted for config in named):
        written, expected = ("names", "paths") if identity.groups_full_path else ("paths", "names")
        raise Failed(
            f"The mapper of the claim {claim} writes {written} where the hub expects {expected} "
            "(identity.groupsFullPath): no group will match.",
            _mend(context),
        )
    return f"claim {claim}"


@check("V-IDENTITY-04", "the admins' group and the others that the settings name are there", "V-IDENTITY-01")
def groups(context: Context) -> str:
    """By path, as the settings name them."""
    identity = context.settings.identity
    names = dict.fromkeys([identity.admin_group, *identity.groups, *identity.allowed_groups])
    missing = [name for name in names if _admin(context, f"/group-by-path/{quote(name)}") is None]
    if missing:
        raise Failed(
            f"Realm {identity.realm} has no group {', '.join(missing)} (identity.adminGroup, groups, allowedGroups).",
            "Make it in Keycloak, or set identity.createGroups to true and run `pulumi up --refresh`.",
        )
    return ", ".join(names)


@check("V-IDENTITY-05", "the hub has the client's secret as Keycloak has it", "V-IDENTITY-02", "V-API-02")
def client_secret(context: Context) -> str:
    """The Secret that the hub's pod reads at its start; neither value is shown."""
    stored = found(
        context.cluster, namespaced(context.namespace, "secrets", OIDC_SECRET), f"Secret {OIDC_SECRET}", UP
    )
    ours = secret_value(stored, OIDC_SECRET_KEY)
    theirs = str(
        _admin(context, f"/clients/{quote(context.notes['client']['id'])}/client-secret").get("value", "")
    )
    if not ours or not hmac.compare_digest(ours.encode(), theirs.encode()):
        raise Failed(
            f"Secret {OIDC_SECRET} does not hold the client's present secret: nobody can log in.",
            "Run `pulumi up --refresh`: it writes the Secret and restarts the hub.",
        )
    return f"Secret {OIDC_SECRET}"


def _mend(context: Context) -> str:
    if context.settings.identity.create_client:
        return UP
    return (
        "Mend it in Keycloak: identity.createClient is false, so that this program never changes the client."
    )


def _admin(context: Context, path: str) -> Any:
    """GET below /admin/realms/<realm> with the admin's token; None for what is not there."""
    base, realm = context.settings.keycloak_url, context.settings.identity.realm
    where = f"Keycloak's admin API ({base})"
    response = ask(
        context, "GET", f"{base}/admin/realms/{quote(realm)}{path}", where,
        headers={"Authorization": f"Bearer {context.notes['keycloak']}"},
    )  # fmt: skip
    if response.status_code in (401, 403):
        raise Failed(
            f"Keycloak's admin {context.settings.keycloak_admin_username} may not read realm {realm} "
            f"(HTTP {response.status_code}).",
            "Give it the role view-clients and query-groups there, or set another account.",
        )
    return None if response.status_code == 404 else json_of(response, where)
