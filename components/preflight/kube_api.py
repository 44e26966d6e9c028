"""Reads single objects and lists through the cluster's API, and turns what it refuses into words.

Owns paths, status codes and their meaning. Leaves alone: which cluster, and as whom (kubeconfig.py, kube_login.py).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from components.preflight.kube_login import Login, log_in
from components.preflight.kubeconfig import Access, Choice, Json, KubeconfigError, find
from components.preflight.web import Answer, Deadline, Unanswered, ask


class ApiError(Exception):
    """The API cannot be asked at all: everything that is looked up through it would fail alike."""

    def __init__(self, cause: str, tried: str, remedy: str) -> None:
        super().__init__(cause)
        self.tried = tried
        self.remedy = remedy


class Denied(Exception):
    """The API server refuses this one question: the text names the permission."""


class Api:
    """One cluster's API server, asked as one user. Raises ApiError from every method, Denied where rights lack."""

    def __init__(self, choice: Choice, deadline: Deadline) -> None:
        """Find the cluster and log in; asks nothing yet."""
        try:
            access = find(choice)
        except KubeconfigError as error:
            raise ApiError(str(error), "", error.remedy) from None
        self._access: Access = access
        self._deadline = deadline
        try:
            self._login: Login = log_in(access, deadline)
        except KubeconfigError as error:
            raise ApiError(str(error), access.server, error.remedy) from None

    def get(self, group: str, resource: str, name: str, namespace: str = "") -> Json | None:
        """The object, None if it is not there; `group` as in "storage.k8s.io/v1", "v1" for the core."""
        return self._json(_path(group, resource, namespace, name), "get", group, resource, namespace)

    def list(self, group: str, resource: str, namespace: str = "", **query: str) -> list[Json]:
        """The objects that fit `query` (labelSelector=...); none where the kind itself is unknown."""
        path = _path(group, resource, namespace) + (f"?{urlencode(query)}" if query else "")
        found = self._json(path, "list", group, resource, namespace) or {}
        items: list[Json] = found.get("items") or []
        return items

    def _json(self, path: str, verb: str, group: str, resource: str, namespace: str) -> Json | None:
        url = self._access.server + path
        cluster = self._access.cluster
        try:
            answer = ask(
                url,
                self._deadline,
                context=self._login.context,
                headers=self._login.headers,
                proxy=str(cluster.get("proxy-url") or "") or None,
                server_name=str(cluster.get("tls-server-name") or "") or None,
            )
        except Unanswered as error:
            raise ApiError(str(error), self._access.server, self._remedy(error.kind)) from None
        if answer.status == 404:
            return None
        if answer.status == 403:
            where = f" in namespace {namespace}" if namespace else ""
            what = resource if group == "v1" else f"{resource}.{group.partition('/')[0]}"
            raise Denied(f"{verb} {what}{where}")
        if answer.status == 401:
            raise ApiError(
                f"the login is refused ({self._access.source})", self._access.server,
                "renew its credentials, or pick another by the config key kubernetes:context",
            )  # fmt: skip
        document = _document(answer)
        if answer.status >= 400 or document is None:
            said = str((document or {}).get("message") or "").strip().rstrip(".")[:200]
            raise ApiError(
                f"it answers HTTP {answer.status}{f' ({said})' if said else ''}", url,
                f"see that this is the API server ({self._access.source}), and that it is healthy",
            )  # fmt: skip
        return document

    def _remedy(self, kind: str) -> str:
        if kind in ("certificate", "tls"):
            return f"correct the kubeconfig's certificate-authority and server ({self._access.source})"
        return (
            f"see that the cluster runs and is reached from here ({self._access.source}), or pick another by the "
            "config key kubernetes:context"
        )


def _path(group: str, resource: str, namespace: str, name: str = "") -> str:
    base = f"/api/{group}" if "/" not in group else f"/apis/{group}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{base}{inside}/{resource}" + (f"/{quote(name, safe='')}" if name else "")


def _document(answer: Answer) -> Json | None:
    try:
        content: Any = json.loads(answer.body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
