"""The provider: the engine's calls on Keycloak's types, and the login that happens before anything else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pulumi.provider.experimental import provider as rpc

from local.providers.keycloak.admin import Admin, ApiError, Login
from local.providers.keycloak.fields import seconds
from local.providers.keycloak.lookups import look_up
from local.providers.keycloak.resources import TYPES, Resource
from local.providers.serve import ProviderError
from local.providers.values import (
    UNKNOWN,
    Properties,
    autoname,
    changes,
    diff_response,
    has_unknown,
    plain_map,
    wrap_map,
)

T = TypeVar("T")

_CONFIG = frozenset(
    [
        *(
            "adminUrl",
            "basePath",
            "clientId",
            "clientSecret",
            "clientTimeout",
            "initialLogin",
            "keycloakVersion",
        ),
        *("password", "realm", "rootCaCertificate", "url", "username", "version", "pluginDownloadURL"),
    ]
)
_SETS = frozenset({"validRedirectUris", "webOrigins", "validPostLogoutRedirectUris"})
_DURATIONS = frozenset({"accessTokenLifespan", "ssoSessionIdleTimeout", "ssoSessionMaxLifespan"})


class KeycloakProvider(rpc.Provider):
    """Answers the engine; requests run in threads."""

    def __init__(self) -> None:
        self._admin: Admin | None = None

    async def check_config(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        failures = [
            rpc.CheckFailure(key, f"{key} cannot be honoured by the stand-in Keycloak provider")
            for key in sorted(set(request.new_inputs) - _CONFIG - {"tlsInsecureSkipVerify"})
            if not key.startswith("__")
        ]
        if _true(plain_map(request.new_inputs).get("tlsInsecureSkipVerify")):
            reason = "certificates are always verified; give the CA in rootCaCertificate"
            failures.append(rpc.CheckFailure("tlsInsecureSkipVerify", reason))
        return rpc.CheckResponse(request.new_inputs, failures)

    async def configure(self, request: rpc.ConfigureRequest) -> rpc.ConfigureResponse:
        args = plain_map(request.args)
        if not has_unknown(args):
            self._admin = Admin(_login(args))
            if "initialLogin" not in args or _true(args["initialLogin"]):
                await asyncio.to_thread(self._admin.login)
        return rpc.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def invoke(self, request: rpc.InvokeRequest) -> rpc.InvokeResponse:
        args = plain_map(request.args)
        try:
            found = await self._ask(lambda admin: look_up(admin, request.tok, args))
        except ProviderError as problem:
            # the official bridge's form: the reason is not in the first line
            raise ProviderError(f"invoking {request.tok}: 1 error occurred:\n\t* {problem}\n\n") from None
        # a client's secret comes in clear, as from the official provider: who asks for it marks it
        return rpc.InvokeResponse(wrap_map(found))

    async def check(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        kind = _type(request.type)
        news, olds = plain_map(request.new_inputs), plain_map(request.old_inputs)
        known = {*kind.table, *kind.extra}
        failures = [
            rpc.CheckFailure(
                key,
                f"{key} is not among the inputs that the stand-in Keycloak provider knows of {request.type}",
            )
            for key in sorted(set(news) - known)
        ]
        failures += [
            rpc.CheckFailure(key, f"{key} is required") for key in kind.required if not news.get(key)
        ]
        if not news.get(kind.named):
            # as the official bridge does: seven characters after the logical name
            news[kind.named] = olds.get(kind.named) or autoname(request.random_seed, request.name, 7)
        for name, spec in kind.table.items():
            if news.get(name) is None and spec.default is not None:
                news[name] = spec.default
        for name in _DURATIONS & set(kind.table) & set(news):
            if news[name] != UNKNOWN and kind.named == "realm":
                try:
                    seconds(news[name])
                except ValueError as problem:
                    failures.append(rpc.CheckFailure(name, str(problem)))
        if not failures and not has_unknown(news):
            failures = [rpc.CheckFailure(key, reason) for key, reason in kind.problems(news)]
        return rpc.CheckResponse(_marked(kind, wrap_map(news, request.new_inputs)), failures)

    async def diff(self, request: rpc.DiffRequest) -> rpc.DiffResponse:
        kind = _type(request.type)
        live, news = plain_map(request.old_state), plain_map(request.new_inputs)
        # What the program does not set is Keycloak's; what it no longer sets has its default in the new inputs.
        left = {key: _canonical(kind, key, live.get(key)) for key in news if live.get(key) is not None}
        right = {key: _canonical(kind, key, value) for key, value in news.items() if value is not None}
        return diff_response(changes(left, right), replacing=kind.replacing, ignored=request.ignore_changes)

    async def create(self, request: rpc.CreateRequest) -> rpc.CreateResponse:
        kind, inputs = _type(request.type), plain_map(request.properties)
        if request.preview:
            return rpc.CreateResponse("", request.properties)

        def work(admin: Admin) -> tuple[str, Any]:
            kind.refuse(inputs)
            key = kind.create(admin, inputs)
            return key, kind.read(admin, key, inputs)

        key, found = await self._ask(work)
        return rpc.CreateResponse(key, _state(kind, inputs, found, request.properties))

    async def update(self, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        kind, inputs = _type(request.type), plain_map(request.news)
        if request.preview:
            return rpc.UpdateResponse({**request.olds, **request.news})

        def work(admin: Admin) -> Any:
            kind.refuse(inputs)
            kind.update(admin, request.resource_id, inputs)
            return kind.read(admin, request.resource_id, inputs)

        found = await self._ask(work)
        return rpc.UpdateResponse(_state(kind, inputs, found, request.news))

    async def read(self, request: rpc.ReadRequest) -> rpc.ReadResponse:
        kind, inputs = _type(request.type), plain_map(request.inputs)
        key, known = request.resource_id, {**plain_map(request.properties), **inputs}
        importing = not inputs and not request.properties
        if importing:
            key, known = kind.imported(key)
        found = await self._ask(lambda admin: kind.read(admin, key, known))
        if found is None:
            return rpc.ReadResponse("")
        wanted = {*kind.table, *kind.extra} if importing else set(inputs)
        live = {name: value for name, value in found.items() if name in wanted}
        return rpc.ReadResponse(
            key,
            _state(kind, {} if importing else inputs, found, request.inputs),
            _marked(kind, wrap_map(live, request.inputs)),
        )

    async def delete(self, request: rpc.DeleteRequest) -> None:
        kind, known = _type(request.type), plain_map(request.properties)
        try:
            await self._ask(lambda admin: kind.delete(admin, request.resource_id, known))
        except ApiError as answer:
            if answer.status != 404:
                raise

    async def _ask(self, work: Callable[[Admin], T]) -> T:
        admin = self._admin
        if admin is None:
            raise ProviderError("The Keycloak provider is not configured: its url or login is not known yet.")
        return await asyncio.to_thread(lambda: work(admin))


def _type(token: str) -> Resource:
    try:
        return TYPES[token]
    except KeyError:
        raise ProviderError(
            f"{token} is not among the types the stand-in Keycloak provider knows: {', '.join(sorted(TYPES))}. "
            "Use one of these, or install the official pulumi-resource-keycloak plugin."
        ) from None


def _login(args: Mapping[str, Any]) -> Login:
    def setting(key: str, variable: str, default: str = "") -> str:
        return str(args.get(key) or os.environ.get(variable) or default)

    url = setting("url", "KEYCLOAK_URL")
    if not url:
        raise ProviderError("The Keycloak provider has no url; set it, or KEYCLOAK_URL.")
    return Login(
        url=url.rstrip("/") + str(args.get("basePath") or "").rstrip("/"),
        client_id=setting("clientId", "KEYCLOAK_CLIENT_ID", "admin-cli"),
        realm=setting("realm", "KEYCLOAK_REALM", "master"),
        username=setting("username", "KEYCLOAK_USER"),
        password=setting("password", "KEYCLOAK_PASSWORD"),
        client_secret=setting("clientSecret", "KEYCLOAK_CLIENT_SECRET"),
        ca=str(args.get("rootCaCertificate") or ""),
        seconds=float(args.get("clientTimeout") or 15),
    )


def _true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _canonical(kind: Resource, key: str, value: Any) -> Any:
    """A value as it is compared: sets without order, durations in seconds."""
    if key in _SETS and isinstance(value, list):
        return sorted(map(str, value))
    if key in _DURATIONS and kind.named == "realm" and value != UNKNOWN:
        return seconds(value)
    return value


def _state(kind: Resource, inputs: Mapping[str, Any], found: Any, like: Properties) -> Properties:
    if found is None:
        raise ProviderError("Keycloak took the change, but what it made cannot be read back.")
    # the program's spelling where it means the same (30m and 30m0s)
    same = {
        k: v
        for k, v in inputs.items()
        if k in found and _canonical(kind, k, v) == _canonical(kind, k, found[k])
    }
    return _marked(kind, wrap_map({**found, **same}, like))


def _marked(kind: Resource, values: Properties) -> Properties:
    return {key: value.with_secret(True) if key in kind.secrets else value for key, value in values.items()}
