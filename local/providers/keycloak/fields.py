"""How each input is written in Keycloak's representations, and its default: one table per type.

Sources: the schemas of pulumi-keycloak 6.14 and of the Terraform provider under it, Keycloak 26's admin REST API.
An input that is not in its table is refused; one without default is left as Keycloak has it when it is not set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One input: where it lies in the representation, its default (None: Keycloak's), how it is written and read."""

    path: tuple[str, ...]
    default: Any = None
    write: Callable[[Any], Any] = lambda value: value
    read: Callable[[Any], Any] = lambda value: value


def _switch(value: Any) -> bool:
    return value is True or value == "true"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def attribute(name: str, default: Any = None) -> Field:
    """A text among the representation's attributes."""
    return Field(("attributes", name), default, _text)


def flag(section: str, name: str, default: bool | None = None) -> Field:
    """A switch that Keycloak keeps as the text true or false."""
    return Field((section, name), default, _text, _switch)


def seconds(text: Any) -> int:
    """A duration like ``1h30m`` (Go's notation, which the provider takes) in seconds; a bare number is seconds."""
    if re.fullmatch(r"\d+", str(text)):
        return int(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        raise ValueError(f"{text} is no duration; write it like 30m or 1h30m")
    return int(
        sum(float(number) * {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}[unit] for number, unit in parts)
    )


def duration(value: Any) -> str:
    """Seconds as Go writes a duration: ``1h30m0s``."""
    hours, rest = divmod(int(value), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}h{minutes}m{left}s" if hours else f"{minutes}m{left}s" if minutes else f"{left}s"


def lifespan(key: str) -> Field:
    return Field((key,), None, seconds, duration)


def plain(key: str, default: Any = None) -> Field:
    return Field((key,), default)


def _lines(values: Any) -> str:
    return "##".join(values)


def _split(text: Any) -> list[str]:
    return [part for part in str(text).split("##") if part]


_SWITCHES_OF_A_REALM = [
    "registrationAllowed",
    "registrationEmailAsUsername",
    "editUsernameAllowed",
    "resetPasswordAllowed",
    "rememberMe",
    "verifyEmail",
    "duplicateEmailsAllowed",
]

REALM: dict[str, Field] = {
    "realm": plain("realm"),
    "enabled": plain("enabled", True),
    "displayName": plain("displayName"),
    "displayNameHtml": plain("displayNameHtml"),
    "loginTheme": plain("loginTheme"),
    "accountTheme": plain("accountTheme"),
    "adminTheme": plain("adminTheme"),
    "emailTheme": plain("emailTheme"),
    "sslRequired": plain("sslRequired", "external"),
    "passwordPolicy": plain("passwordPolicy"),
    "loginWithEmailAllowed": plain("loginWithEmailAllowed", True),
    "userManagedAccess": plain("userManagedAccessAllowed", False),
    **{name: plain(name, False) for name in _SWITCHES_OF_A_REALM},
    "accessTokenLifespan": lifespan("accessTokenLifespan"),
    "ssoSessionIdleTimeout": lifespan("ssoSessionIdleTimeout"),
    "ssoSessionMaxLifespan": lifespan("ssoSessionMaxLifespan"),
}

OFF_WHEN_MADE = (
    *("standardFlowEnabled", "implicitFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled"),
    *("frontchannelLogoutEnabled", "consentRequired"),
)
"""Switches of a client that are off in a new one and, where the program says nothing, left alone afterwards."""

CLIENT: dict[str, Field] = {
    "clientId": plain("clientId"),
    "name": plain("name"),
    "description": plain("description"),
    "enabled": plain("enabled", True),
    "rootUrl": plain("rootUrl"),
    "baseUrl": plain("baseUrl"),
    "adminUrl": plain("adminUrl"),
    "clientSecret": plain("secret"),
    "clientAuthenticatorType": plain("clientAuthenticatorType", "client-secret"),
    "standardFlowEnabled": plain("standardFlowEnabled"),
    "implicitFlowEnabled": plain("implicitFlowEnabled"),
    "directAccessGrantsEnabled": plain("directAccessGrantsEnabled"),
    "serviceAccountsEnabled": plain("serviceAccountsEnabled"),
    "frontchannelLogoutEnabled": plain("frontchannelLogout"),
    "alwaysDisplayInConsole": plain("alwaysDisplayInConsole", False),
    "consentRequired": plain("consentRequired"),
    "fullScopeAllowed": plain("fullScopeAllowed", True),
    "validRedirectUris": plain("redirectUris"),
    "webOrigins": plain("webOrigins"),
    "validPostLogoutRedirectUris": Field(("attributes", "post.logout.redirect.uris"), None, _lines, _split),
    "pkceCodeChallengeMethod": attribute("pkce.code.challenge.method", ""),
    "loginTheme": attribute("login_theme"),
    "accessTokenLifespan": attribute("access.token.lifespan"),
    "clientSessionIdleTimeout": attribute("client.session.idle.timeout"),
    "clientSessionMaxLifespan": attribute("client.session.max.lifespan"),
    "frontchannelLogoutUrl": attribute("frontchannel.logout.url"),
    "backchannelLogoutUrl": attribute("backchannel.logout.url"),
    "backchannelLogoutSessionRequired": flag("attributes", "backchannel.logout.session.required", True),
    "excludeSessionStateFromAuthResponse": flag(
        "attributes", "exclude.session.state.from.auth.response", False
    ),
    "useRefreshTokens": flag("attributes", "use.refresh.tokens", True),
    "oauth2DeviceAuthorizationGrantEnabled": flag(
        "attributes", "oauth2.device.authorization.grant.enabled", False
    ),
}

MAPPER: dict[str, Field] = {
    "name": plain("name"),
    "claimName": Field(("config", "claim.name")),
    "fullPath": flag("config", "full.path", True),
    "addToIdToken": flag("config", "id.token.claim", True),
    "addToAccessToken": flag("config", "access.token.claim", True),
    "addToUserinfo": flag("config", "userinfo.token.claim", True),
    # not by default: seen with the official provider
    "addToTokenIntrospection": flag("config", "introspection.token.claim", False),
}

GROUP: dict[str, Field] = {
    "name": plain("name"),
    "description": plain("description"),
    "attributes": Field(
        ("attributes",),
        None,
        lambda values: {key: _split(value) for key, value in values.items()},
        lambda values: {key: "##".join(value) for key, value in values.items()},
    ),
}


def to_representation(
    table: Mapping[str, Field], inputs: Mapping[str, Any], base: Json | None = None
) -> Json:
    """The representation for these inputs, on top of what Keycloak has."""
    answer: Json = dict(base or {})
    for name, spec in table.items():
        if inputs.get(name) is None:
            continue
        target = answer
        for step in spec.path[:-1]:
            target[step] = dict(target.get(step) or {})
            target = target[step]
        target[spec.path[-1]] = spec.write(inputs[name])
    return answer


def from_representation(table: Mapping[str, Field], found: Mapping[str, Any]) -> Json:
    """The properties that a representation holds; what is not there has its default or is left out."""
    answer: Json = {}
    for name, spec in table.items():
        value: Any = found
        for step in spec.path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is not None:
            answer[name] = spec.read(value)
        elif spec.default is not None:
            answer[name] = spec.default
    return answer
