"""The stand-in Keycloak provider under the real engine, on the embedded platform's Keycloak; realms of its
own.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.engine import EngineError, Stack
from local.providers.keycloak.admin import Admin, Login
from tests.engine.conftest import Program

pytestmark = [pytest.mark.engine, pytest.mark.platform]


@pytest.fixture(scope="session")
def admin(platform: Any) -> Admin:
    return Admin(
        Login(
            url=platform.keycloak_url,
            client_id="admin-cli",
            username=platform.keycloak_admin_username,
            password=platform.keycloak_admin_password,
            ca=platform.ca_file.read_text(),
            seconds=60,  # a realm's keys take a busy machine long
        )
    )


@pytest.fixture
def realm(admin: Admin) -> Iterator[str]:
    """The name of a realm that does not exist yet, and does not after."""
    name = f"engine-{uuid.uuid4().hex[:8]}"
    yield name
    admin.delete(f"/{name}")


@pytest.fixture
def write(platform: Any, program: Program) -> Any:
    """``write(body)`` makes a program with the provider ``p`` and options ``o``, and gives its stack."""

    def make(body: str, *, url: str = platform.keycloak_url, password: str = "", more: str = "") -> Stack:
        head = f"""
import pulumi
import pulumi_keycloak as keycloak
from pulumi_keycloak import openid
p = keycloak.Provider("p", url="{url}", client_id="admin-cli", username="{platform.keycloak_admin_username}",
    password=pulumi.Config().require_secret("password"), client_timeout=60, {more}
    root_ca_certificate=open("{platform.ca_file}").read())
o = pulumi.ResourceOptions(provider=p)
"""
        stack = program(head + body)
        stack.set_config(secrets={"password": password or platform.keycloak_admin_password})
        return stack

    return make


IDENTITY = """
realm = keycloak.Realm("realm", realm="{realm}", display_name="{display}", access_token_lifespan="30m", opts=o)
client = openid.Client("client", realm_id=realm.id, client_id="hub", access_type="CONFIDENTIAL",
    standard_flow_enabled=True, pkce_code_challenge_method="S256",
    valid_redirect_uris=["https://a.test/x", "https://b.test/x"], web_origins=[],
    valid_post_logout_redirect_uris=["https://a.test/"], opts=o)
openid.GroupMembershipProtocolMapper("mapper", realm_id=realm.id, client_id=client.id, name="groups",
    claim_name="groups", full_path={full_path}, opts=o)
group = keycloak.Group("group", realm_id=realm.id, name="admins", attributes={{"a": "1"}}, opts=o)
keycloak.Group("child", realm_id=realm.id, parent_id=group.id, name="few", opts=o)
pulumi.export("secret", client.client_secret)
pulumi.export("client", client.id)
pulumi.export("path", group.path)
"""


def test_identity_from_create_to_destroy(write: Any, admin: Admin, realm: str) -> None:
    stack = write(IDENTITY.format(realm=realm, display="One", full_path=False))
    assert stack.preview().changes == {"create": 7}
    assert admin.find(f"/{realm}") is None
    stack.up()
    outputs = stack.outputs(show_secrets=True)
    client = admin.get(f"/{realm}/clients/{outputs['client']}")
    assert client["secret"] == outputs["secret"]
    assert client["attributes"]["pkce.code.challenge.method"] == "S256"
    assert (client["publicClient"], client["directAccessGrantsEnabled"]) == (False, False)
    mapper = next(m for m in client["protocolMappers"] if m["name"] == "groups")
    assert {key: mapper["config"][key] for key in ("claim.name", "full.path", "id.token.claim")} == {
        "claim.name": "groups",
        "full.path": "false",
        "id.token.claim": "true",
    }
    assert outputs["path"] == "/admins"
    assert outputs["secret"] not in json.dumps(stack.export())
    assert stack.outputs()["secret"] == "[secret]"
    assert stack.up().changes == {}
    assert stack.refresh().changes == {}
    assert stack.up().changes == {}

    stack = write(IDENTITY.format(realm=realm, display="Two", full_path=True))
    assert stack.preview().changes == {"update": 2}
    assert stack.up().changes == {"update": 2}
    assert stack.outputs(show_secrets=True)["secret"] == outputs["secret"]

    changed = admin.get(f"/{realm}/clients/{outputs['client']}")
    changed["redirectUris"] = ["https://evil.test/*"]
    admin.put(f"/{realm}/clients/{outputs['client']}", changed)
    assert stack.refresh().changes == {"update": 1}
    assert stack.up().changes == {"update": 1}
    assert sorted(admin.get(f"/{realm}/clients/{outputs['client']}")["redirectUris"])[0] == "https://a.test/x"

    admin.delete(
        f"/{realm}"
    )  # by hand: refresh sees it, the next update makes all of it again, with a new secret
    assert stack.refresh().changes == {"delete": 5}
    stack.up()
    assert stack.outputs(show_secrets=True)["secret"] != outputs["secret"]
    assert stack.destroy().changes == {"delete": 7}
    assert admin.find(f"/{realm}") is None


def test_existing_realm_client_and_group(write: Any, admin: Admin, realm: str) -> None:
    """What exists is an error; a client can be taken over by import and then outlives the stack; data
    sources read.
    """
    admin.post("", {"realm": realm, "enabled": True})
    client = {"clientId": "hub", "secret": "kept-secret-of-hub", "directAccessGrantsEnabled": True}
    admin.post(f"/{realm}/clients", client)
    admin.post(f"/{realm}/groups", {"name": "admins"})
    source = """
openid.Client("client", realm_id="%s", client_id="hub", access_type="CONFIDENTIAL", standard_flow_enabled=True,
    valid_redirect_uris=["https://a.test/x"], %s opts=o)
"""
    off = "direct_access_grants_enabled=False,"
    with pytest.raises(EngineError, match="409 Conflict"):
        write(f'keycloak.Realm("realm", realm="{realm}", opts=o)').up()
    with pytest.raises(EngineError, match="409 Conflict"):
        write(source % (realm, "")).up()
    look = f"""
io = pulumi.InvokeOutputOptions(provider=p)
pulumi.export("realm", keycloak.get_realm_output(realm="{realm}", opts=io).enabled)
pulumi.export("group", keycloak.get_group_output(realm_id="{realm}", name="admins", opts=io).path)
found = openid.get_client_output(realm_id="{realm}", client_id="hub", opts=io)
pulumi.export("secret", pulumi.Output.secret(found.client_secret))  # the look-up gives it in clear
"""
    stack = write(source % (realm, "import_=True,") + look)
    stack.up()
    assert stack.up().changes == {}, "what the program does not mention is left as it is"
    assert admin.get(f"/{realm}/clients", clientId="hub")[0]["directAccessGrantsEnabled"] is True
    outputs = stack.outputs(show_secrets=True)
    assert (outputs["realm"], outputs["group"], outputs["secret"]) == (True, "/admins", "kept-secret-of-hub")
    stack = write(source % (realm, f"import_=True, {off}") + look)
    assert stack.up().changes == {"update": 1}
    assert admin.get(f"/{realm}/clients", clientId="hub")[0]["directAccessGrantsEnabled"] is False
    assert stack.up().changes == {}
    assert "kept-secret-of-hub" not in json.dumps(stack.export())
    stack.destroy()
    assert admin.get(f"/{realm}/clients", clientId="hub")[0]["secret"] == "kept-secret-of-hub"


def test_missing_realm_fails_in_preview(write: Any) -> None:
    io = "pulumi.InvokeOutputOptions(provider=p)"
    stack = write(f'pulumi.export("r", keycloak.get_realm_output(realm="not-there", opts={io}).enabled)')
    with pytest.raises(
        EngineError,
        match=r"error sending GET request to /admin/realms/not-there: 404 Not Found\. Response body",
    ):
        stack.preview()


def test_login_happens_in_preview(write: Any, realm: str) -> None:
    body = f'keycloak.Realm("realm", realm="{realm}", opts=o)'
    with pytest.raises(
        EngineError,
        match=r"failed to perform initial login to Keycloak: error sending POST request .*: 401 Unauthorized",
    ) as failure:
        write(body, password="wrong-password").preview()
    assert "wrong-password" not in str(failure.value)
    with pytest.raises(
        EngineError,
        match=r"failed to perform initial login to Keycloak: .*127\.0\.0\.1:9/realms/master.*[Cc]onnection",
    ):
        write(body, url="http://127.0.0.1:9").preview()
    deferred = write(body, url="http://127.0.0.1:9", more="initial_login=False,")
    assert deferred.preview().changes == {"create": 3}


def test_wrong_inputs_are_refused(write: Any, realm: str) -> None:
    no_redirect = write(
        f'openid.Client("c", realm_id="{realm}", access_type="CONFIDENTIAL", standard_flow_enabled=True, opts=o)'
    )
    no_redirect.preview()
    with pytest.raises(EngineError, match="require at least one valid redirect uri"):
        no_redirect.up()
    with pytest.raises(EngineError, match=r"otpPolicy is not among the inputs"):
        write(f'keycloak.Realm("r", realm="{realm}", otp_policy={{"digits": 8}}, opts=o)').preview()
    with pytest.raises(EngineError, match=r"keycloak:index/user:User is not among the types the stand-in"):
        write(f'keycloak.User("u", realm_id="{realm}", username="u", opts=o)').preview()


def test_groups_and_mappers_are_found_where_they_are(write: Any, admin: Admin, realm: str) -> None:
    """By path exactly one group, by name the first one anywhere; a mapper by its name in a client."""
    admin.post("", {"realm": realm, "enabled": True})
    above = admin.post(f"/{realm}/groups", {"name": "a team"})
    admin.post(f"/{realm}/groups/{above}/children", {"name": "admins"})
    client = admin.post(f"/{realm}/clients", {"clientId": "hub"})
    mapper = {
        "name": "by hand",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "groups", "full.path": "true"},
    }
    admin.post(f"/{realm}/clients/{client}/protocol-mappers/models", mapper)
    io = f'realm_id="{realm}", opts=pulumi.InvokeOutputOptions(provider=p)'
    stack = write(
        f"""
pulumi.export("named", keycloak.get_group_output(name="admins", {io}).path)
pulumi.export("nested", keycloak.get_group_output(group_path="/a team/admins", {io}).name)
pulumi.export("claim", keycloak.get_generic_protocol_mapper_output(client_id="{client}", name="by hand", {io}).config)
"""
    )
    stack.up()
    outputs = stack.outputs()
    assert (outputs["named"], outputs["nested"]) == ("/a team/admins", "admins")
    assert outputs["claim"] == mapper["config"]
    with pytest.raises(EngineError, match="group not found at path: /admins"):
        write(f'pulumi.export("g", keycloak.get_group_output(group_path="/admins", {io}).id)').preview()
    named = f'client_id="{client}", name="groups", {io}'
    with pytest.raises(EngineError, match='protocol mapper with name "groups" not found'):
        write(f'pulumi.export("m", keycloak.get_generic_protocol_mapper_output({named}).id)').preview()
