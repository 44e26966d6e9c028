"""The data sources: reading a realm, a group or a client that somebody else made."""

from __future__ import annotations

from local.providers.keycloak.admin import Admin, ApiError
from local.providers.keycloak.fields import Json
from local.providers.keycloak.resources import TYPES, group_properties, quoted
from local.providers.serve import ProviderError


def look_up(admin: Admin, function: str, args: Json) -> Json:
    """The answer of a data source: getRealm, getGroup, getClient. Raises ProviderError when there is no such thing."""
    if function == "keycloak:index/getRealm:getRealm":
        realm = TYPES["keycloak:index/realm:Realm"].read(admin, args["realm"], {})
        if realm is None:
            raise ProviderError(f"realm {args['realm']} does not exist in Keycloak.")
        return {**realm, "id": args["realm"]}
    try:
        if function == "keycloak:index/getGroup:getGroup":
            path = f"/{quoted(args['realmId'])}/groups"
            named = admin.get(path, search=args["name"], exact="true")
            match = next((group for group in _all(named) if group["name"] == args["name"]), None)
            if match is None:
                raise ProviderError(f"group {args['name']} does not exist in realm {args['realmId']}.")
            return {
                **group_properties(admin.get(f"{path}/{match['id']}"), args["realmId"]),
                "id": match["id"],
            }
        if function == "keycloak:openid/getClient:getClient":
            clients = admin.get(f"/{quoted(args['realmId'])}/clients", clientId=args["clientId"])
            if not clients:
                raise ProviderError(f"client {args['clientId']} does not exist in realm {args['realmId']}.")
            place = {"realmId": args["realmId"]}
            found = TYPES["keycloak:openid/client:Client"].read(admin, clients[0]["id"], place) or {}
            return {**found, "id": clients[0]["id"]}
    except ApiError as answer:
        if answer.status == 404:
            raise ProviderError(f"realm {args['realmId']} does not exist in Keycloak.") from None
        raise
    raise ProviderError(f"{function} is not among the functions the stand-in Keycloak provider knows.")


def _all(groups: list[Json]) -> list[Json]:
    """Groups and their subgroups, flat."""
    return [found for group in groups for found in (group, *_all(group.get("subGroups") or []))]
