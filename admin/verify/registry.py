"""A question to a container registry as a node's runtime asks it: Basic, or a Bearer token from where it points to.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from admin.verify.context import Context
from admin.verify.model import Failed
from admin.verify.web import ask, json_of

MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


@dataclass(frozen=True, repr=False)
class Login:
    """A registry account."""

    username: str
    password: str


def login_of(docker_config: str, registry: str) -> Login | None:
    """The account that a `.dockerconfigjson` has for `registry`; None without one.

    Raises ValueError for what is no such file.
    """
    document = json.loads(docker_config)
    entries = document.get("auths") if isinstance(document, dict) else None
    if not isinstance(entries, dict):
        raise ValueError("it has no auths")
    for host, entry in entries.items():
        if (urlsplit(host).netloc or host.partition("/")[0]) == registry:
            if "username" in entry and "password" in entry:
                return Login(entry["username"], entry["password"])
            name, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            return Login(name, password)
    return None


def question(
    context: Context, method: str, registry: str, path: str, login: Login | None, key: str = "harbor_registry"
) -> httpx.Response:
    """The registry's answer to `method` on `path` (below /v2/). Raises Failed if it, or its token service, is away;
    `key` is the config key that names the registry.
    """
    where = f"Registry {registry} ({key})"
    url = f"https://{registry}/v2/{path}"
    headers = {"Accept": MANIFESTS}
    answer = ask(context, method, url, where, headers=headers)
    if answer.status_code != 401 or login is None:
        return answer
    challenge = answer.headers.get("WWW-Authenticate", "")
    account = (login.username, login.password)
    if not challenge.lower().startswith("bearer"):
        return ask(context, method, url, where, headers=headers, auth=account)
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm", "")
    if urlsplit(realm).scheme != "https":
        # the account would travel in clear
        raise Failed(
            f"{where} sends its logins to {realm or 'nowhere'}, which is no https address.",
            "Mend its configuration.",
        )
    token = ask(
        context, "GET", realm, f"The token service of registry {registry}", params=asked, auth=account
    )
    if token.status_code in (401, 403):
        return token
    body = json_of(token, f"The token service of registry {registry}")
    bearer = str(body.get("token") or body.get("access_token"))
    return ask(context, method, url, where, headers={**headers, "Authorization": f"Bearer {bearer}"})
