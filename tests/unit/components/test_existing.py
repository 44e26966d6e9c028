"""What is there already is used as it is, and what the hub misses in it is said with key and remedy."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pydantic import ValidationError

from components.existing import client_problems, mapper_problems
from components.settings.models import Identity
from tests.unit.components import recorder
from tests.unit.components.conftest import Program

REDIRECT = "https://jupyter.example.org/hub/oauth_callback"
ON = {"enabled": True, "standard flow": True}
CLIENT = "keycloak:openid/getClient:getClient"
MAPPER = "keycloak:index/getGenericProtocolMapper:getGenericProtocolMapper"
MEMBERSHIP = "oidc-group-membership-mapper"
GOOD = {"claim.name": "groups", "full.path": "true", "userinfo.token.claim": "true"}


@pytest.mark.parametrize("uri", [REDIRECT, "https://jupyter.example.org/*", "*"])
def test_a_client_with_what_the_hub_needs(uri: str) -> None:
    assert client_problems("CONFIDENTIAL", ON, ["https://other.example.org/x", uri], "S256", REDIRECT) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"access_type": "PUBLIC"}, "access type: is PUBLIC, must be confidential"),
        ({"switches": {**ON, "standard flow": False}}, "standard flow: is off"),
        ({"switches": {**ON, "enabled": False}}, "enabled: is off"),
        ({"redirects": ["https://jupyter.example.org/hub"]}, f"valid redirect URIs: {REDIRECT} is missing"),
        ({"redirects": []}, f"valid redirect URIs: {REDIRECT} is missing"),
        ({"challenge": "plain"}, "PKCE method: is plain"),
    ],
)
def test_what_a_client_misses(change: dict[str, Any], sentence: str) -> None:
    good = {
        "access_type": "CONFIDENTIAL",
        "switches": ON,
        "redirects": [REDIRECT],
        "challenge": "",
        "redirect": REDIRECT,
    }
    (problem,) = client_problems(**{**good, **change})
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("kind", "change", "sentence"),
    [
        ("oidc-hardcoded-claim-mapper", {}, "must be Group Membership"),
        (MEMBERSHIP, {"claim.name": "roles"}, "writes the claim roles"),
        (MEMBERSHIP, {"full.path": "false"}, "'Full group path' is off, and identity.groupsFullPath is true"),
        (MEMBERSHIP, {"userinfo.token.claim": "false"}, "'Add to userinfo' is off"),
    ],
)
def test_what_a_mapper_misses(kind: str, change: dict[str, str], sentence: str) -> None:
    (problem,) = mapper_problems(kind, {**GOOD, **change}, Identity())
    assert sentence in problem
    assert mapper_problems(MEMBERSHIP, GOOD, Identity()) == []


def test_the_programs_own_mapper_would_do_for_it_too(program: Program) -> None:
    made = program().inputs(
        "keycloak:openid/groupMembershipProtocolMapper:GroupMembershipProtocolMapper", "identity-groups"
    )
    assert (made["claimName"], made["fullPath"], made["name"]) == ("groups", True, "groups")


def test_an_existing_client_is_used_and_not_made(program: Program) -> None:
    made = program({"identity": {"createClient": False}})
    assert not [typ for typ in made.types() if "openid" in typ]
    secret = made.inputs("kubernetes:core/v1:Secret", "identity-secret")
    assert secret["data"] == {"client_secret": "ZXhpc3RpbmctY2xpZW50LTAxMjM0NTY3ODk="}


def test_an_unfit_client_is_refused(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {**recorder.EXISTING[CLIENT], "accessType": "PUBLIC", "validRedirectUris": []}
    monkeypatch.setitem(recorder.EXISTING, CLIENT, found)
    with pytest.raises(pulumi.RunError, match=r"config key identity.createClient: .*(\n.*){2}oauth_callback"):
        program({"identity": {"createClient": False}})


@pytest.mark.parametrize(
    ("missing", "identity", "key"),
    [
        ("keycloak:index/getRealm:getRealm", {}, "realm"),
        ("keycloak:index/getGroup:getGroup", {"createGroups": False}, "adminGroup"),
        ("keycloak:index/getGroup:getGroup", {"allowedGroups": ["team/staff"]}, "allowedGroups"),
        (CLIENT, {"createClient": False}, "clientId"),
        (MAPPER, {"createClient": False}, "groupsMapper"),
    ],
)
def test_what_is_not_there_names_its_key(
    program: Program, monkeypatch: pytest.MonkeyPatch, missing: str, identity: dict[str, Any], key: str
) -> None:
    monkeypatch.delitem(recorder.EXISTING, missing)
    with pytest.raises(
        pulumi.RunError, match=f"config key identity.{key}: Keycloak does not give"
    ) as refusal:
        program({"identity": identity})
    assert str(refusal.value).endswith("it does not exist)"), "the provider says why in its last line only"


def test_a_claim_from_a_client_scope_is_not_looked_for(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(recorder.EXISTING, MAPPER)
    program({"identity": {"createClient": False, "groupsMapper": ""}})


@pytest.mark.parametrize(
    ("settings", "made", "expected"),
    [
        ({}, ["jupyter_admin"], {}),
        ({"createGroups": False, "groups": ["a"]}, [], {"jupyter_admin": "adminGroup", "a": "groups"}),
        (
            {"groups": ["/a", "b"], "existingGroups": ["a"], "allowedGroups": ["b", "c"]},
            ["jupyter_admin", "b"],
            {"a": "groups", "c": "allowedGroups"},
        ),
    ],
)
def test_which_groups_are_made(settings: dict[str, Any], made: list[str], expected: dict[str, str]) -> None:
    identity = Identity.model_validate(settings)
    assert identity.made_groups == made
    assert identity.expected_groups == expected


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"existingGroups": ["a"]}, "existingGroups: a is neither"),
        ({"adminGroup": "team/admins"}, "groups below others are not made"),
        ({"groupsMapper": ""}, "groupsMapper: must have a name"),
        ({"createRealm": True, "createClient": False}, "createClient: a realm that is to be made"),
        ({"adminGroup": "a//b"}, "must be a group's name"),
    ],
)
def test_what_does_not_fit_together(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Identity.model_validate(settings)


def test_bare_names_are_the_last_part() -> None:
    settings = {"groupsFullPath": False, "adminGroup": "team/admins", "existingGroups": ["team/admins"]}
    assert Identity.model_validate(settings).claim("team/admins") == "admins"
    assert Identity().claim("team/admins") == "/team/admins"


def test_an_existing_namespace_is_only_read(program: Program) -> None:
    made = program({"create_namespace": "false"})
    assert made.types()["kubernetes:core/v1:Namespace"] == ["workspace-existing-namespace"]
    assert not [name for name in made.requests if name.startswith("kubernetes:core/v1:Namespace")]


def test_a_static_claims_size_is_left_alone(program: Program) -> None:
    claim = "kubernetes:core/v1:PersistentVolumeClaim volumes-notebooks-claim"
    static = program().requests[claim]
    dynamic = program({"storage": {"backend": "storageClass", "storageClass": "shared"}}).requests[claim]
    assert list(static.ignoreChanges) == ["spec.resources"]
    assert list(dynamic.ignoreChanges) == []
