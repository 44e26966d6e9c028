"""The four types: where Keycloak keeps them, how they are made, read, changed and deleted.

Ids are the official provider's: a realm's name, Keycloak's uuid for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from local.providers.keycloak.admin import Admin
from local.providers.keycloak.fields import (
    CLIENT,
    GROUP,
    MAPPER,
    OFF_WHEN_MADE,
    REALM,
    Field,
    Json,
    from_representation,
    to_representation,
)
from local.providers.serve import ProviderError

ACCESS_TYPES = ("CONFIDENTIAL", "PUBLIC", "BEARER-ONLY")


def quoted(part: Any) -> str:
    """One step of a path."""
    return quote(str(part), safe="")


class Resource:
    """One type: ``table`` maps its inputs, ``extra`` are inputs beside the table, ``replacing`` force a new
    resource.
    """

    table: Mapping[str, Field] = {}
    extra: tuple[str, ...] = ()
    required: tuple[str, ...] = ("realmId",)
    replacing: tuple[str, ...] = ("realmId",)
    named = "name"
    """the input that is made up when it is missing"""
    secrets: tuple[str, ...] = ()

    def problems(self, inputs: Json) -> list[tuple[str, str]]:
        """What is wrong with complete inputs, as preview says it: (input, reason)."""
        return []

    def refuse(self, inputs: Json) -> None:
        """Raise ProviderError for what the official provider finds out only when it makes or changes the object."""

    def create(self, admin: Admin, inputs: Json) -> str:
        raise NotImplementedError

    def read(self, admin: Admin, key: str, known: Json) -> Json | None:
        """The live properties, None when it is gone; ``known`` holds at least what an import's id says."""
        raise NotImplementedError

    def update(self, admin: Admin, key: str, inputs: Json) -> None:
        raise NotImplementedError

    def delete(self, admin: Admin, key: str, known: Json) -> None:
        raise NotImplementedError

    def imported(self, key: str) -> tuple[str, Json]:
        """The id and the place that the id of an import says (``realm/uuid``)."""
        realm, _, found = key.rpartition("/")
        return found, {"realmId": realm}


class Realm(Resource):
    table = REALM
    extra = ("attributes", "internalId")
    required = ()
    replacing = ("realm", "internalId")
    named = "realm"

    def create(self, admin: Admin, inputs: Json) -> str:
        admin.post("", self._body(inputs, {}))
        return str(inputs["realm"])

    def read(self, admin: Admin, key: str, known: Json) -> Json | None:
        found = admin.find(f"/{quoted(key)}")
        if found is None:
            return None
        answer = {**from_representation(REALM, found), "internalId": found["id"]}
        mine = known.get("attributes") or {}
        return {
            **answer,
            "attributes": {k: v for k, v in (found.get("attributes") or {}).items() if k in mine},
        }

    def update(self, admin: Admin, key: str, inputs: Json) -> None:
        admin.put(f"/{quoted(key)}", self._body(inputs, admin.get(f"/{quoted(key)}")))

    def delete(self, admin: Admin, key: str, known: Json) -> None:
        admin.delete(f"/{quoted(key)}")

    def imported(self, key: str) -> tuple[str, Json]:
        return key, {"realm": key}

    def _body(self, inputs: Json, base: Json) -> Json:
        body = to_representation(REALM, inputs, base)
        body["attributes"] = {**(base.get("attributes") or {}), **(inputs.get("attributes") or {})}
        return body | ({"id": inputs["internalId"]} if inputs.get("internalId") else {})


class Client(Resource):
    table = CLIENT
    extra = ("realmId", "accessType", "extraConfig", "import")
    required = ("realmId", "accessType")
    replacing = ("realmId", "import")
    named = "clientId"
    secrets = ("clientSecret",)

    def problems(self, inputs: Json) -> list[tuple[str, str]]:
        if inputs.get("accessType") not in ACCESS_TYPES:
            return [("accessType", f"accessType is one of {', '.join(ACCESS_TYPES)}")]
        return []

    def refuse(self, inputs: Json) -> None:
        flows = inputs.get("standardFlowEnabled") or inputs.get("implicitFlowEnabled")
        other = inputs.get("directAccessGrantsEnabled") or inputs.get("serviceAccountsEnabled")
        if inputs.get("validRedirectUris") and not flows:
            raise ProviderError(
                "valid_redirect_uris cannot be set when standard or implicit flow is not enabled"
            )
        if inputs["accessType"] == "BEARER-ONLY" and (flows or other):
            raise ProviderError(
                "validation error: Keycloak cannot issue tokens for bearer-only clients; no oauth2 flows can be "
                "enabled for this client"
            )
        if flows and not inputs.get("validRedirectUris"):
            raise ProviderError(
                "validation error: standard (authorization code) and implicit flows require at least one valid "
                "redirect uri"
            )
        if inputs.get("serviceAccountsEnabled") and inputs["accessType"] == "PUBLIC":
            raise ProviderError(
                "validation error: service accounts (client credentials flow) cannot be enabled on public clients"
            )

    def create(self, admin: Admin, inputs: Json) -> str:
        clients = f"/{quoted(inputs['realmId'])}/clients"
        if not inputs.get("import"):
            return admin.post(clients, self._body({**dict.fromkeys(OFF_WHEN_MADE, False), **inputs}, {}))
        found = admin.get(clients, clientId=inputs["clientId"])
        if not found:
            raise ProviderError(f"openid client with name {inputs['clientId']} does not exist")
        # Taking over merges: what is false or empty in the program stays as it is in Keycloak until the next
        # update, which the difference then asks for.
        said = {name: value for name, value in inputs.items() if value}
        body = self._body(said, found[0])
        for switch in ("publicClient", "bearerOnly"):
            body[switch] = body[switch] or bool(found[0].get(switch))
        key = str(found[0]["id"])
        admin.put(f"{clients}/{quoted(key)}", body)
        return key

    def read(self, admin: Admin, key: str, known: Json) -> Json | None:
        path = f"/{quoted(known['realmId'])}/clients/{quoted(key)}"
        found = admin.find(path)
        if found is None:
            return None
        kind = (
            "BEARER-ONLY"
            if found.get("bearerOnly")
            else "PUBLIC"
            if found.get("publicClient")
            else "CONFIDENTIAL"
        )
        answer = {**from_representation(CLIENT, found), "accessType": kind, "realmId": known["realmId"]}
        mine = known.get("extraConfig") or {}
        answer["extraConfig"] = {k: v for k, v in (found.get("attributes") or {}).items() if k in mine}
        if kind == "CONFIDENTIAL" and "clientSecret" not in answer:
            answer["clientSecret"] = admin.get(f"{path}/client-secret").get("value", "")
        answer.setdefault("clientSecret", "")
        account = (
            admin.get(f"{path}/service-account-user")["id"] if found.get("serviceAccountsEnabled") else ""
        )
        return {
            **answer,
            "serviceAccountUserId": account,
            "resourceServerId": "",
            "import": bool(known.get("import")),
        }

    def update(self, admin: Admin, key: str, inputs: Json) -> None:
        path = f"/{quoted(inputs['realmId'])}/clients/{quoted(key)}"
        admin.put(path, self._body(inputs, admin.get(path)))

    def delete(self, admin: Admin, key: str, known: Json) -> None:
        if not known.get("import"):  # what was taken over is not ours to delete
            admin.delete(f"/{quoted(known['realmId'])}/clients/{quoted(key)}")

    def _body(self, inputs: Json, base: Json) -> Json:
        body = to_representation(CLIENT, inputs, base)
        body["protocol"] = "openid-connect"
        body["publicClient"] = inputs["accessType"] == "PUBLIC"
        body["bearerOnly"] = inputs["accessType"] == "BEARER-ONLY"
        body["attributes"] = {**(body.get("attributes") or {}), **(inputs.get("extraConfig") or {})}
        return body


class GroupMembershipMapper(Resource):
    table = MAPPER
    extra = ("realmId", "clientId", "clientScopeId")
    required = ("realmId", "claimName")
    replacing = ("realmId", "clientId", "clientScopeId", "name")

    def problems(self, inputs: Json) -> list[tuple[str, str]]:
        one = bool(inputs.get("clientId")) != bool(inputs.get("clientScopeId"))
        return [] if one else [("clientId", "exactly one of clientId and clientScopeId must be set")]

    def create(self, admin: Admin, inputs: Json) -> str:
        return admin.post(self._path(inputs), self._body(inputs, {}))

    def read(self, admin: Admin, key: str, known: Json) -> Json | None:
        found = admin.find(f"{self._path(known)}/{quoted(key)}")
        if found is None:
            return None
        place = {name: known[name] for name in self.extra if known.get(name)}
        return {**from_representation(MAPPER, found), **place}

    def update(self, admin: Admin, key: str, inputs: Json) -> None:
        path = f"{self._path(inputs)}/{quoted(key)}"
        admin.put(path, self._body(inputs, admin.get(path)))

    def delete(self, admin: Admin, key: str, known: Json) -> None:
        admin.delete(f"{self._path(known)}/{quoted(key)}")

    def imported(self, key: str) -> tuple[str, Json]:
        realm, kind, owner, found = key.split("/")
        return found, {"realmId": realm, "clientId" if kind == "client" else "clientScopeId": owner}

    def _path(self, inputs: Json) -> str:
        owner = f"clients/{quoted(inputs['clientId'])}" if inputs.get("clientId") else ""
        owner = owner or f"client-scopes/{quoted(inputs['clientScopeId'])}"
        return f"/{quoted(inputs['realmId'])}/{owner}/protocol-mappers/models"

    def _body(self, inputs: Json, base: Json) -> Json:
        fixed = {"protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper"}
        return {**to_representation(MAPPER, inputs, base), **fixed}


class Group(Resource):
    table = GROUP
    extra = ("realmId", "parentId")
    replacing = ("realmId", "parentId")

    def create(self, admin: Admin, inputs: Json) -> str:
        groups = f"/{quoted(inputs['realmId'])}/groups"
        parent = f"{groups}/{quoted(inputs['parentId'])}/children" if inputs.get("parentId") else groups
        return admin.post(parent, to_representation(GROUP, inputs))

    def read(self, admin: Admin, key: str, known: Json) -> Json | None:
        found = admin.find(f"/{quoted(known['realmId'])}/groups/{quoted(key)}")
        return None if found is None else group_properties(found, known["realmId"])

    def update(self, admin: Admin, key: str, inputs: Json) -> None:
        path = f"/{quoted(inputs['realmId'])}/groups/{quoted(key)}"
        admin.put(path, to_representation(GROUP, inputs, admin.get(path)))

    def delete(self, admin: Admin, key: str, known: Json) -> None:
        admin.delete(f"/{quoted(known['realmId'])}/groups/{quoted(key)}")


def group_properties(found: Json, realm: str) -> Json:
    """A group's properties from its representation."""
    answer = {**from_representation(GROUP, found), "realmId": realm, "path": found.get("path", "")}
    answer["attributes"] = answer.get("attributes") or {}
    return {**answer, **({"parentId": found["parentId"]} if found.get("parentId") else {})}


TYPES: dict[str, Resource] = {
    "keycloak:index/realm:Realm": Realm(),
    "keycloak:openid/client:Client": Client(),
    "keycloak:openid/groupMembershipProtocolMapper:GroupMembershipProtocolMapper": GroupMembershipMapper(),
    "keycloak:index/group:Group": Group(),
}
