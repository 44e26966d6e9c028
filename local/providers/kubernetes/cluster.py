"""A small client for the Kubernetes API: kubeconfig, one connection pool, requests that answer with JSON.

The ``kubernetes`` package would take a second to import in every operation of the engine; the twelve
kinds need a handful of paths. Credentials: certificates, token, user and password; a kubeconfig that runs
a program is refused.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml

from local.providers.serve import ProviderError

Json = dict[str, Any]

TIMEOUT = urllib3.Timeout(connect=5, read=70)
"""Seconds: a reachable server accepts at once; its own limit for a request is 60."""


class Unreachable(ProviderError):
    """The API server cannot be asked: no kubeconfig, a wrong one, or nobody answers there."""


class ApiError(ProviderError):
    """The API server refused: ``code`` is the HTTP status, ``reason`` its machine-readable word
    (AlreadyExists, Conflict...).
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class Kubeconfig:
    """A kubeconfig by path or contents, and the choice of a context in it."""

    def __init__(self, source: str | None, context: str | None = None, cluster: str | None = None) -> None:
        """``source`` as the provider gets it: a path, YAML or JSON text; else $KUBECONFIG, else
        ~/.kube/config. Raises Unreachable.
        """
        ambient = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or str(
            Path.home() / ".kube" / "config"
        )
        self.text: str | None = None
        self.file = Path(ambient)
        self.context = context or None
        if source and ("\n" in source or source.lstrip().startswith("{")):
            self.text = source
        elif source:
            self.file = Path(source).expanduser()
        try:
            content = yaml.safe_load(self.text if self.text is not None else self.file.read_text()) or {}
        except (OSError, yaml.YAMLError) as problem:
            raise Unreachable(
                f"The kubeconfig cannot be read ({problem}); set the provider's kubeconfig or KUBECONFIG."
            ) from None
        chosen = _named(content, "contexts", self.context or content.get("current-context") or "").get(
            "context", {}
        )
        self.namespace: str = chosen.get("namespace") or "default"
        self.cluster: Json = _named(content, "clusters", cluster or chosen.get("cluster") or "").get(
            "cluster", {}
        )
        self.user: Json = _named(content, "users", chosen.get("user") or "").get("user", {})
        if not self.cluster.get("server"):
            raise Unreachable(
                "The kubeconfig names no cluster with a server for the chosen context; set the "
                "provider's context."
            )
        if self.user.get("exec") or self.user.get("auth-provider"):
            raise Unreachable(
                "The kubeconfig logs in by running a program, which the stand-in provider does not; use "
                "a token."
            )


def _named(content: Json, section: str, name: str) -> Json:
    return next((entry for entry in content.get(section) or [] if entry.get("name") == name), {})


class Cluster:
    """One API server. Raises Unreachable or ApiError from every request; safe to use from several threads."""

    def __init__(self, config: Kubeconfig) -> None:
        self.config = config
        self.server: str = config.cluster["server"].rstrip("/")
        self._headers = {"Accept": "application/json", **_authorization(config)}
        self._pool = urllib3.PoolManager(
            maxsize=16,
            ssl_context=_tls(config),
            server_hostname=config.cluster.get("tls-server-name"),
            timeout=TIMEOUT,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        kind: str = "json",
    ) -> Json:
        """One request; ``kind`` is the body's media type after ``application/``."""
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body),
                headers={**self._headers, "Content-Type": f"application/{kind}"},
                retries=False,
            )
        except urllib3.exceptions.HTTPError as problem:
            raise Unreachable(
                f"configured Kubernetes cluster is unreachable: the API server at {self.server} does not answer: "
                f"{problem}"
            ) from None
        try:
            content: Json = json.loads(answer.data or b"{}")
        except ValueError:
            content = {"message": answer.data.decode(errors="replace").strip()}
        if answer.status >= 400:
            message = content.get("message") or f"HTTP {answer.status}"
            raise ApiError(answer.status, content.get("reason") or "", message)
        return content


def _authorization(config: Kubeconfig) -> dict[str, str]:
    user = config.user
    token = user.get("token")
    if user.get("tokenFile"):
        token = _beside(config, user["tokenFile"]).read_text().strip()
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user.get("username"):
        return dict(urllib3.make_headers(basic_auth=f"{user['username']}:{user.get('password', '')}"))
    return {}


def _tls(config: Kubeconfig) -> ssl.SSLContext | None:
    if not config.cluster["server"].startswith("https:"):
        return None
    ca = _material(config, config.cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=ca.decode() if ca else None)
    if config.cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = (_material(config, config.user, name) for name in ("client-certificate", "client-key"))
    if certificate and key:
        # OpenSSL takes files only; the folder is ours alone (0700) and gone at once.
        with tempfile.TemporaryDirectory() as folder:
            pair = Path(folder) / "pair"
            pair.touch(mode=0o600)
            pair.write_bytes(certificate + b"\n" + key)
            context.load_cert_chain(pair)
    return context


def _material(config: Kubeconfig, entry: Json, name: str) -> bytes | None:
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return _beside(config, entry[name]).read_bytes() if entry.get(name) else None


def _beside(config: Kubeconfig, path: str) -> Path:
    """A path in a kubeconfig is relative to its file."""
    return config.file.parent / path
