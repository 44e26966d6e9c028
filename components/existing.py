"""What is in Keycloak already and is used as it is: realm, client, mapper, groups.

Owns the look-ups, what the hub needs of them, and the sentences when that is missing: all of it is said in preview,
before anything is touched. Leaves alone: the objects themselves, none of which is changed here, and what the program
makes (identity.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pulumi
import pulumi_keycloak as keycloak
from pulumi_keycloak import openid

from components.settings.models import Identity

T = TypeVar("T")
MEMBERSHIP = "oidc-group-membership-mapper"


@dataclass(frozen=True)
class FoundClient:
    """What the hub needs to know of a client."""

    id: str
    secret: pulumi.Output[str]


def check_realm(identity: Identity, opts: pulumi.InvokeOptions) -> None:
    """Raise pulumi.RunError if there is no such realm."""
    _look_up(
        lambda: keycloak.get_realm(realm=identity.realm, opts=opts),
        f"config key identity.realm: Keycloak does not give the realm {identity.realm}; name an existing one with "
        "`pulumi config set --path identity.realm NAME`, or have it made with identity.createRealm",
    )


def check_groups(identity: Identity, opts: pulumi.InvokeOptions) -> None:
    """Raise pulumi.RunError for the first group that should be in the realm already and is not."""
    for group, key in identity.expected_groups.items():
        _look_up(
            # by path: by name, Keycloak's provider takes any group of that name below another one, too
            lambda path=f"/{group}": keycloak.get_group(realm_id=identity.realm, group_path=path, opts=opts),  # type: ignore[misc]
            f"config key identity.{key}: Keycloak does not give the group {group} of the realm {identity.realm}; "
            f"make it in Keycloak, name another one, or have this program make it (identity.groups, "
            "identity.createGroups, identity.existingGroups)",
        )


def existing_client(identity: Identity, redirect: str, opts: pulumi.InvokeOptions) -> FoundClient:
    """Return the client that is there already. Raises pulumi.RunError with all that keeps the hub from using it."""
    name = identity.client_id
    found = _look_up(
        lambda: openid.get_client(realm_id=identity.realm, client_id=name, opts=opts),
        f"config key identity.clientId: Keycloak does not give the client {name} of the realm {identity.realm}; "
        "name an existing one, or have it made with identity.createClient",
    )
    problems = client_problems(
        found.access_type,
        {"enabled": found.enabled, "standard flow": found.standard_flow_enabled},
        found.valid_redirect_uris,
        found.pkce_code_challenge_method or "",
        redirect,
    )
    if identity.groups_mapper:
        mapper = _look_up(
            lambda: keycloak.get_generic_protocol_mapper(
                realm_id=identity.realm, client_id=found.id, name=identity.groups_mapper, opts=opts
            ),
            f"config key identity.groupsMapper: Keycloak does not give the mapper {identity.groups_mapper} of the "
            f'client {name}; name the one that writes the claim {identity.groups_claim}, or set it to "" if a '
            "client scope writes it",
        )
        problems += mapper_problems(mapper.protocol_mapper, mapper.config, identity)
    if problems:
        raise pulumi.RunError(
            f"config key identity.createClient: the client {name} of the realm {identity.realm} is not changed by "
            "this program, and the hub cannot use it as it is; change it in Keycloak, or have this program make "
            "one of another name (identity.clientId)\n" + "\n".join(f"  - {problem}" for problem in problems)
        )
    return FoundClient(found.id, pulumi.Output.secret(found.client_secret))


def client_problems(
    access_type: str,
    switches: Mapping[str, bool],
    redirects: Sequence[str],
    challenge: str,
    redirect: str,
) -> list[str]:
    """What the hub misses in a client: confidential, on, standard flow, its redirect URI, PKCE by S256 or unset."""
    problems = [f"{switch}: is off, must be on" for switch, on in switches.items() if not on]
    if access_type != "CONFIDENTIAL":
        problems.append(f"access type: is {access_type}, must be confidential (client authentication on)")
    # Keycloak takes a `*` at the end of a URI for any rest
    if not any(uri == redirect or (uri.endswith("*") and redirect.startswith(uri[:-1])) for uri in redirects):
        problems.append(f"valid redirect URIs: {redirect} is missing")
    if challenge not in ("", "S256"):
        problems.append(f"PKCE method: is {challenge}, must be S256")
    return problems


def mapper_problems(kind: str, config: Mapping[str, str], identity: Identity) -> list[str]:
    """What the hub misses in the mapper of the groups."""
    where = f"mapper {identity.groups_mapper}"
    if kind != MEMBERSHIP:
        return [f"{where}: is of type {kind}, must be Group Membership"]
    problems = []
    if config.get("claim.name") != identity.groups_claim:
        problems.append(
            f"{where}: writes the claim {config.get('claim.name')}, and identity.groupsClaim is "
            f"{identity.groups_claim}"
        )
    full = config.get("full.path", "true") == "true"
    if full != identity.groups_full_path:
        problems.append(
            f"{where}: 'Full group path' is {'on' if full else 'off'}, and identity.groupsFullPath is "
            f"{str(identity.groups_full_path).lower()}"
        )
    if config.get("userinfo.token.claim", "false") != "true":
        problems.append(f"{where}: 'Add to userinfo' is off, must be on")
    return problems


def _look_up(call: Callable[[], T], sentence: str) -> T:
    try:
        return call()
    except Exception as answer:  # the SDK raises nothing finer
        reason = " ".join(str(answer).split())  # on several lines, and the last one says it
        raise pulumi.RunError(f"{sentence}\n  ({reason})") from answer
