"""The data sources: reading a realm, a group, a client or a mapper that somebody else made."""

from __future__ import annotations

from local.providers.keycloak.admin import Admin, ApiError
from local.providers.keycloak.fields import Json
from local.providers.keycloak.resources import TYPES, group_properties, quoted
from local.providers.serve import ProviderError


def look_up(admin: Admin, function: str, args: Json) -> Json:
    """The answer of a data source. Raises ProviderError when there is no such thing."""
    if function == "keycloak:index/getRealm:getRealm":
        admin.get(f"/{quoted(args['realm'])}")  # that it is missing is said in Keycloak's words
        realm = TYPES["keycloak:index/realm:Realm"].read(admin, args["realm"], {}) or {}
        return {**realm, "id": args["realm"]}
    if function == "keycloak:index/getGroup:getGroup":
        match = _group(admin, args)
        return {**group_properties(match, args["realmId"]), "id": match["id"]}
    if function == "keycloak:index/getGenericProtocolMapper:getGenericProtocolMapper":
        return _mapper(admin, args)
    if function == "keycloak:openid/getClient:getClient":
        clients = admin.get(f"/{quoted(args['realmId'])}/clients", clientId=args["clientId"])
        if not clients:
            raise ProviderError(f"openid client with name {args['clientId']} does not exist")
        place = {"realmId": args["realmId"]}
        found = TYPES["keycloak:openid/client:Client"].read(admin, clients[0]["id"], place) or {}
        return {**found, "id": clients[0]["id"]}
    raise ProviderError(f"{function} is not among the functions the stand-in Keycloak provider knows.")


def _group(admin: Admin, args: Json) -> Json:
    """The group at a path, or the first one of a name, wherever it is (as the official provider finds it)."""
    realm = f"/{quoted(args['realmId'])}"
    name, path = args.get("name"), args.get("groupPath")
    if bool(name) == bool(path):
        raise ProviderError("exactly one of name and groupPath must be set")
    if path:
        steps = "/".join(quoted(step) for step in str(path).strip("/").split("/"))
        try:
            return dict(admin.get(f"{realm}/group-by-path/{steps}"))
        except ApiError as answer:
            if answer.status == 404:
                raise ProviderError(f"group not found at path: {path}") from None
            raise
    match = next(
        (found for found in _all(admin.get(f"{realm}/groups", search=str(name))) if found["name"] == name),
        None,
    )
    if match is None:
        raise ProviderError(f"no group with name {name} found")
    return dict(admin.get(f"{realm}/groups/{match['id']}"))


def _mapper(admin: Admin, args: Json) -> Json:
    """The mapper of that name in a client or a client scope."""
    if args.get("clientId"):
        owner = f"clients/{quoted(args['clientId'])}"
    elif args.get("clientScopeId"):
        owner = f"client-scopes/{quoted(args['clientScopeId'])}"
    else:
        raise ProviderError("one of client_id or client_scope_id must be set")
    mappers = admin.get(f"/{quoted(args['realmId'])}/{owner}/protocol-mappers/models")
    match = next((mapper for mapper in mappers if mapper["name"] == args["name"]), None)
    if match is None:
        raise ProviderError(f'protocol mapper with name "{args["name"]}" not found')
    return {**args, **{key: match[key] for key in ("id", "name", "protocol", "protocolMapper", "config")}}


def _all(groups: list[Json]) -> list[Json]:
    """Groups and their subgroups, flat."""
    return [found for group in groups for found in (group, *_all(group.get("subGroups") or []))]
