"""Keycloak's admin REST API: login, requests, errors as sentences. Knows no resource."""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from local.providers.serve import ProviderError


class ApiError(ProviderError):
    """Keycloak refused a request; ``status`` is the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Login:
    """Where and as whom: a user's password, or a confidential client's secret."""

    url: str
    client_id: str
    realm: str = "master"
    username: str = ""
    password: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    ca: str = ""
    """PEM text; empty for the system's CAs."""
    seconds: float = 15.0


class Admin:
    """One Keycloak; logs in when first asked, and again when the token has run out. Safe to use from
    several threads.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        context = ssl.create_default_context(cadata=login.ca or None)
        self._pool = urllib3.PoolManager(maxsize=8, ssl_context=context, timeout=login.seconds)
        self._lock = threading.Lock()
        self._token = ""

    def login(self) -> None:
        """Get a token. Raises ProviderError that names the address, or the login that was refused."""
        who = self._login
        form = {"client_id": who.client_id}
        if who.username:
            form |= {"grant_type": "password", "username": who.username, "password": who.password}
        else:
            form |= {"grant_type": "client_credentials"}
        if who.client_secret:
            form["client_secret"] = who.client_secret
        path = f"/realms/{quote(who.realm, safe='')}/protocol/openid-connect/token"
        failed = "error initializing keycloak provider: failed to perform initial login to Keycloak: "
        try:
            answer = self._send(
                "POST", path, urlencode(form).encode(), "application/x-www-form-urlencoded", ""
            )
        except ProviderError as problem:
            raise ProviderError(f"{failed}{problem}") from None
        content = _json(answer.data)
        if answer.status != 200 or not isinstance(content, dict):
            raise ProviderError(
                f"{failed}error sending POST request to {who.url}{path}: {answer.status} {answer.reason}"
            )
        self._token = content["access_token"]

    def get(self, path: str, **query: str) -> Any:
        """The JSON at ``/admin/realms<path>``; raises ApiError."""
        return self._request("GET", path + (f"?{urlencode(query)}" if query else ""))[0]

    def find(self, path: str) -> Any:
        """Like ``get``, None when it is not there."""
        try:
            return self.get(path)
        except ApiError as answer:
            if answer.status == 404:
                return None
            raise

    def post(self, path: str, body: Any) -> str:
        """Create something; the id that Keycloak gave it."""
        return self._request("POST", path, body)[1].rsplit("/", 1)[-1]

    def put(self, path: str, body: Any) -> None:
        self._request("PUT", path, body)

    def delete(self, path: str) -> None:
        """Delete; what is gone already is fine."""
        try:
            self._request("DELETE", path)
        except ApiError as answer:
            if answer.status != 404:
                raise

    def _request(self, method: str, path: str, body: Any = None) -> tuple[Any, str]:
        data = None if body is None else json.dumps(body).encode()
        with self._lock:
            if not self._token:
                self.login()
            token = self._token
        full = f"/admin/realms{path}"
        answer = self._send(method, full, data, "application/json", token)
        if answer.status == 401:  # tokens live a minute; a build takes longer
            with self._lock:
                self.login()
                token = self._token
            answer = self._send(method, full, data, "application/json", token)
        if answer.status >= 400:
            text = answer.data.decode(errors="replace").strip()
            raise ApiError(
                answer.status,
                f"error sending {method} request to {full}: {answer.status} {answer.reason}. Response body: {text}",
            )
        return _json(answer.data), answer.headers.get("Location", "")

    def _send(
        self, method: str, path: str, body: bytes | None, kind: str, token: str
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Content-Type": kind, **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            return self._pool.request(
                method, f"{self._login.url}{path}", body=body, headers=headers, retries=False
            )
        except urllib3.exceptions.HTTPError as problem:
            raise ProviderError(
                f'error sending request: {method.capitalize()} "{self._login.url}{path}": {problem}'
            ) from None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return None
