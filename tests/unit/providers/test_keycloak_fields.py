"""The Keycloak stand-in without a Keycloak: representations, defaults, comparison, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.provider.experimental import provider as rpc

from local.providers.keycloak.fields import (
    CLIENT,
    GROUP,
    MAPPER,
    duration,
    from_representation,
    seconds,
    to_representation,
)
from local.providers.keycloak.provider import KeycloakProvider
from local.providers.keycloak.resources import TYPES
from local.providers.serve import ProviderError
from local.providers.values import UNKNOWN, plain_map, wrap_map

REALM_TYPE = "keycloak:index/realm:Realm"
CLIENT_TYPE = "keycloak:openid/client:Client"
MAPPER_TYPE = "keycloak:openid/groupMembershipProtocolMapper:GroupMembershipProtocolMapper"


def urn(token: str) -> str:
    return f"urn:pulumi:dev::p::{token}::logical"


async def check(token: str, inputs: dict[str, Any]) -> rpc.CheckResponse:
    return await KeycloakProvider().check(rpc.CheckRequest(urn(token), {}, wrap_map(inputs), b"seed"))


@pytest.mark.parametrize(
    ("text", "value"), [("30m", 1800), ("1h30m", 5400), ("1h30m0s", 5400), ("45s", 45), ("60", 60)]
)
def test_durations(text: str, value: int) -> None:
    assert seconds(text) == value
    assert seconds(duration(value)) == value


@pytest.mark.parametrize("text", ["", "soon", "5 m", "1d"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


def test_a_client_and_back() -> None:
    inputs = {
        "clientId": "hub",
        "standardFlowEnabled": True,
        "validRedirectUris": ["https://a/x"],
        "validPostLogoutRedirectUris": ["https://a/", "https://b/"],
        "pkceCodeChallengeMethod": "S256",
        "useRefreshTokens": False,
    }
    body = to_representation(CLIENT, inputs, {"attributes": {"theirs": "1"}, "id": "x"})
    assert body["attributes"] == {
        "theirs": "1",
        "post.logout.redirect.uris": "https://a/##https://b/",
        "pkce.code.challenge.method": "S256",
        "use.refresh.tokens": "false",
    }
    assert body["redirectUris"] == ["https://a/x"]
    found = from_representation(CLIENT, body)
    assert {key: found[key] for key in inputs} == inputs
    assert found["enabled"] is True


def test_the_mapper_says_every_switch() -> None:
    body = to_representation(
        MAPPER, {"name": "g", "claimName": "groups", "fullPath": False, "addToIdToken": True}
    )
    assert body["config"] == {"claim.name": "groups", "full.path": "false", "id.token.claim": "true"}


def test_group_attributes_are_lists_in_keycloak() -> None:
    body = to_representation(GROUP, {"name": "g", "attributes": {"a": "1##2"}})
    assert body["attributes"] == {"a": ["1", "2"]}
    assert from_representation(GROUP, body)["attributes"] == {"a": "1##2"}


def test_the_base_is_not_changed() -> None:
    base = {"attributes": {"a": "1"}}
    to_representation(CLIENT, {"pkceCodeChallengeMethod": "S256"}, base)
    assert base == {"attributes": {"a": "1"}}


async def test_check_fills_in_the_official_defaults() -> None:
    inputs = plain_map(
        (
            await check(MAPPER_TYPE, {"realmId": "r", "clientId": "c", "claimName": "groups", "name": "g"})
        ).inputs
        or {}
    )
    assert inputs == {
        "realmId": "r",
        "clientId": "c",
        "claimName": "groups",
        "name": "g",
        "fullPath": True,
        "addToIdToken": True,
        "addToAccessToken": True,
        "addToUserinfo": True,
        "addToTokenIntrospection": False,
    }


async def test_check_makes_up_a_name_as_the_bridge_does() -> None:
    inputs = plain_map((await check("keycloak:index/group:Group", {"realmId": "r"})).inputs or {})
    assert inputs["name"].startswith("logical-")
    assert len(inputs["name"]) == len("logical-") + 7


@pytest.mark.parametrize(
    ("token", "inputs", "reason"),
    [
        (CLIENT_TYPE, {"realmId": "r", "accessType": "OPEN"}, "accessType is one of"),
        (CLIENT_TYPE, {"accessType": "PUBLIC"}, "realmId is required"),
        (
            CLIENT_TYPE,
            {"realmId": "r", "accessType": "PUBLIC", "authorization": {}},
            "authorization is not among",
        ),
        (MAPPER_TYPE, {"realmId": "r", "claimName": "g"}, "exactly one of clientId"),
        (REALM_TYPE, {"accessTokenLifespan": "soon"}, "is no duration"),
    ],
)
async def test_check_refuses(token: str, inputs: dict[str, Any], reason: str) -> None:
    failures = (await check(token, inputs)).failures or []
    assert any(reason in failure.reason for failure in failures), [failure.reason for failure in failures]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"accessType": "PUBLIC", "standardFlowEnabled": True}, "require at least one valid redirect uri"),
        (
            {"accessType": "PUBLIC", "validRedirectUris": ["x"]},
            "cannot be set when standard or implicit flow",
        ),
        ({"accessType": "PUBLIC", "serviceAccountsEnabled": True}, "cannot be enabled on public clients"),
        ({"accessType": "BEARER-ONLY", "directAccessGrantsEnabled": True}, "no oauth2 flows can be enabled"),
    ],
)
async def test_flows_that_do_not_fit_are_found_out_by_the_update_only(
    inputs: dict[str, Any], reason: str
) -> None:
    """The official provider's preview lets them pass."""
    assert not (await check(CLIENT_TYPE, {"realmId": "r", **inputs})).failures
    with pytest.raises(ProviderError, match=reason):
        TYPES[CLIENT_TYPE].refuse({"realmId": "r", **inputs})


async def test_a_switch_that_the_program_does_not_mention_is_no_difference() -> None:
    """The official provider computes it: off in a new client, as it is in one that is there."""
    said = {"realmId": "r", "clientId": "c", "accessType": "PUBLIC"}
    checked = plain_map((await check(CLIENT_TYPE, said)).inputs or {})
    assert "directAccessGrantsEnabled" not in checked
    assert not (await diff(CLIENT_TYPE, {**checked, "directAccessGrantsEnabled": True}, checked)).changes
    explicit = {**checked, "directAccessGrantsEnabled": False}
    assert (await diff(CLIENT_TYPE, {**checked, "directAccessGrantsEnabled": True}, explicit)).changes


async def test_taking_over_and_not_are_two_resources() -> None:
    live = {"realmId": "r", "clientId": "c", "import": True}
    assert (await diff(CLIENT_TYPE, live, {"realmId": "r", "clientId": "c", "import": False})).replaces == [
        "import"
    ]


async def test_check_waits_for_what_is_unknown() -> None:
    answer = await check(
        CLIENT_TYPE, {"realmId": UNKNOWN, "accessType": "CONFIDENTIAL", "standardFlowEnabled": True}
    )
    assert not answer.failures


async def diff(token: str, live: dict[str, Any], news: dict[str, Any]) -> rpc.DiffResponse:
    return await KeycloakProvider().diff(
        rpc.DiffRequest(urn(token), "id", wrap_map(live), wrap_map(news), [])
    )


async def test_diff_speaks_only_of_what_the_program_sets() -> None:
    live = {
        "realmId": "r",
        "clientId": "c",
        "name": "theirs",
        "validRedirectUris": ["b", "a"],
        "clientSecret": "s",
    }
    assert not (
        await diff(CLIENT_TYPE, live, {"realmId": "r", "clientId": "c", "validRedirectUris": ["a", "b"]})
    ).changes
    changed = await diff(CLIENT_TYPE, live, {"realmId": "r", "clientId": "d"})
    assert (changed.changes, changed.replaces) == (True, [])
    assert (await diff(CLIENT_TYPE, live, {"realmId": "other", "clientId": "c"})).replaces == ["realmId"]


async def test_durations_are_compared_by_meaning() -> None:
    live = {"realm": "r", "accessTokenLifespan": "30m0s"}
    assert not (await diff(REALM_TYPE, live, {"realm": "r", "accessTokenLifespan": "1800s"})).changes
    assert (await diff(REALM_TYPE, live, {"realm": "s"})).replaces == ["realm"]


async def test_client_secret_is_secret_by_itself() -> None:
    answer = await check(
        CLIENT_TYPE, {"realmId": "r", "accessType": "CONFIDENTIAL", "clientSecret": "s", "clientId": "c"}
    )
    assert (answer.inputs or {})["clientSecret"].is_secret


async def test_provider_config() -> None:
    async def refused(**args: Any) -> list[str]:
        request = rpc.CheckRequest(urn("pulumi:providers:keycloak"), {}, wrap_map(args), b"")
        return [
            failure.property for failure in (await KeycloakProvider().check_config(request)).failures or []
        ]

    assert (
        await refused(
            url="u", clientId="c", username="a", password="p", rootCaCertificate="x", initialLogin="false"
        )
        == []
    )
    assert await refused(tlsInsecureSkipVerify="true") == ["tlsInsecureSkipVerify"]
    assert await refused(tlsInsecureSkipVerify="false", jwtToken="x") == ["jwtToken"]


async def test_other_types_are_refused_by_name() -> None:
    with pytest.raises(ProviderError, match="keycloak:index/user:User is not among the types"):
        await check("keycloak:index/user:User", {})


@pytest.mark.parametrize(
    ("token", "key", "found", "place"),
    [
        (REALM_TYPE, "r", "r", {"realm": "r"}),
        (CLIENT_TYPE, "r/1", "1", {"realmId": "r"}),
        (MAPPER_TYPE, "r/client/1/2", "2", {"realmId": "r", "clientId": "1"}),
        (MAPPER_TYPE, "r/client-scope/1/2", "2", {"realmId": "r", "clientScopeId": "1"}),
    ],
)
def test_import_ids(token: str, key: str, found: str, place: dict[str, str]) -> None:
    assert TYPES[token].imported(key) == (found, place)
