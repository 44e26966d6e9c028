"""The registry is there, and takes the robot's login, by the two ways of the distribution API (Basic and Bearer).

Owns the trust in its certificate as Docker has it. Leaves alone: which images are in it.
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from components.preflight.missing import Check, Missing, unreachable
from components.preflight.web import Deadline, Unanswered, ask, basic, trust

SERVICE = "Registry"
CERTIFICATES = Path("/etc/docker/certs.d")
"""A folder per registry: https://docs.docker.com/engine/security/certificates/"""
_LOGIN = "correct the config keys harbor_robot_username and harbor_robot_token (or HARBOR_ROBOT_TOKEN)"


@dataclass(frozen=True)
class Registry:
    """Where it is, who logs in there, and what for."""

    host: str
    """and port"""
    username: str
    password: str = field(repr=False)
    repository: str
    """project/image"""
    actions: Sequence[str]
    """pull, push"""
    ca_bundle: str
    """trusted beside the system's CAs"""

    @property
    def url(self) -> str:
        return f"https://{self.host}/v2/"


def registry_check(args: Registry) -> Check:
    """The check."""
    return Check(SERVICE, args.url, "harbor_registry", lambda deadline: _look(args, deadline))


def _look(args: Registry, deadline: Deadline) -> list[Missing]:
    context = _trust(args)
    try:
        answer = ask(args.url, deadline, context=context)
        if answer.status == 200:
            return []  # open to everybody
        if answer.status != 401:
            cause = f"it answers HTTP {answer.status} instead of 200 or 401"
            remedy = "see that the registry is up, or correct the config key harbor_registry"
            return [Missing(SERVICE, cause, f"GET {args.url}", remedy)]
        challenge = answer.headers.get("www-authenticate", "")
        if challenge.lower().startswith("bearer"):
            return _bearer(args, _parameters(challenge), context, deadline)
        answer = ask(args.url, deadline, context=context, headers=basic(args.username, args.password))
    except Unanswered as error:
        remedy = (
            f"put its CA into {CERTIFICATES / args.host / 'ca.crt'} (Docker needs it too), or name a bundle "
        )
        remedy += "with it in SSL_CERT_FILE"
        return [unreachable(SERVICE, args.url, "harbor_registry", error, remedy)]
    return [] if answer.status == 200 else [_refused(args, args.url, answer.status)]


def _bearer(
    args: Registry, parameters: dict[str, str], context: ssl.SSLContext, deadline: Deadline
) -> list[Missing]:
    """Fetch the token that a push (or pull) would ask for, and look at what it allows."""
    realm = parameters.get("realm", "")
    if not realm.startswith("https://"):  # the password must not go out in clear
        cause = f"it sends logins to {realm or 'no address'}, which is not HTTPS"
        return [Missing(SERVICE, cause, f"GET {args.url}", "correct the registry's own external URL")]
    query = {"scope": f"repository:{args.repository}:{','.join(args.actions)}"}
    if service := parameters.get("service"):
        query["service"] = service
    url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
    answer = ask(url, deadline, context=context, headers=basic(args.username, args.password))
    if answer.status != 200:
        return [_refused(args, realm, answer.status)]
    granted = _granted(answer.body, args.repository)
    lacking = [action for action in args.actions if granted is not None and not {action, "*"} & granted]
    if not lacking:
        return []
    return [
        Missing(
            SERVICE, f"{args.username} may not {' or '.join(lacking)} {args.repository}", f"GET {url}",
            "give that account the right, or correct the config keys harbor_project and harbor_robot_username",
        )
    ]  # fmt: skip


def _refused(args: Registry, url: str, status: int) -> Missing:
    return Missing(SERVICE, f"it refuses the login of {args.username}, HTTP {status}", f"GET {url}", _LOGIN)


def _granted(body: bytes, repository: str) -> set[str] | None:
    """What a token allows for `repository`; None where that cannot be seen in it (it need not be readable)."""
    with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, AttributeError):
        answer: Any = json.loads(body)
        claims = str(answer.get("token") or answer["access_token"]).split(".")[1]
        access = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["access"]
        return {
            str(action)
            for entry in access
            if entry["name"] == repository
            for action in entry.get("actions") or ()
        }
    return None


def _parameters(challenge: str) -> dict[str, str]:
    """realm, service and scope of a WWW-Authenticate header."""
    return {name.lower(): value for name, value in re.findall(r'(\w+)="([^"]*)"', challenge)}


def _trust(args: Registry) -> ssl.SSLContext:
    """The system's CAs, Docker's for this registry, and the stack's own bundle: a platform has one private CA."""
    context = trust()
    with contextlib.suppress(ssl.SSLError):
        if args.ca_bundle:
            context.load_verify_locations(cadata=args.ca_bundle)
    folder = CERTIFICATES / args.host
    for file in sorted(folder.glob("*.crt")) if folder.is_dir() else ():
        with contextlib.suppress(ssl.SSLError, OSError):
            context.load_verify_locations(file)
    return context
