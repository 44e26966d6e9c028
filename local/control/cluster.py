"""What the service reads from the cluster: nodes, running pods, image manifests, services; plain dicts, as the API
gives them.

Owns the access (address, CA and token of the pod's own service account). Leaves alone what the answers mean.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any, Protocol

import aiohttp

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
MANIFEST_LABEL = "thinkube.io/image-manifest=true"
SERVICE_LABEL = "thinkube.io/managed=true"

Json = dict[str, Any]


class Cluster(Protocol):
    """The lists and figures that the service needs; tests put plain objects in this place."""

    async def nodes(self) -> list[Json]:
        """All nodes."""

    async def running_pods(self) -> list[Json]:
        """Pods of all namespaces that are neither succeeded nor failed."""

    async def image_manifests(self) -> list[Json]:
        """ConfigMaps labelled `thinkube.io/image-manifest: "true"`."""

    async def service_configs(self) -> list[Json]:
        """ConfigMaps labelled `thinkube.io/managed: "true"`."""

    async def replicas(self, plural: str, namespace: str, name: str) -> tuple[int, int]:
        """(wanted, ready) replicas of a deployment, statefulset or daemonset; zeros where it is not there."""


class ApiServer:
    """`Cluster` over the API server that Kubernetes announces to every pod. Use it as an async context
    manager.
    """

    def __init__(self, image_namespaces: list[str], deadline: float = 10) -> None:
        """`image_namespaces`: where to look for manifests, empty for everywhere. `deadline`: seconds per
        call.

        Raises RuntimeError outside a pod.
        """
        host, port = (
            os.environ.get("KUBERNETES_SERVICE_HOST"),
            os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
        )
        if not host:
            raise RuntimeError(
                "KUBERNETES_SERVICE_HOST is not set: run the service in a pod with a service account."
            )
        self._base = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._namespaces = image_namespaces
        self._timeout = aiohttp.ClientTimeout(total=deadline)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ApiServer:
        trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust), timeout=self._timeout, raise_for_status=True
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()

    async def nodes(self) -> list[Json]:
        return await self._list("/api/v1/nodes")

    async def running_pods(self) -> list[Json]:
        return await self._list("/api/v1/pods", fieldSelector="status.phase!=Succeeded,status.phase!=Failed")

    async def image_manifests(self) -> list[Json]:
        return await self._config_maps(MANIFEST_LABEL)

    async def service_configs(self) -> list[Json]:
        return await self._config_maps(SERVICE_LABEL)

    async def replicas(self, plural: str, namespace: str, name: str) -> tuple[int, int]:
        try:
            found = await self._get(f"/apis/apps/v1/namespaces/{namespace}/{plural}/{name}")
        except aiohttp.ClientResponseError as error:
            if error.status != 404:
                raise
            return 0, 0
        status = found.get("status") or {}
        if plural == "daemonsets":
            return status.get("desiredNumberScheduled") or 0, status.get("numberReady") or 0
        return (found.get("spec") or {}).get("replicas") or 0, status.get("readyReplicas") or 0

    async def _config_maps(self, label: str) -> list[Json]:
        if not self._namespaces:
            return await self._list("/api/v1/configmaps", labelSelector=label)
        found: list[Json] = []
        for namespace in self._namespaces:
            found += await self._list(f"/api/v1/namespaces/{namespace}/configmaps", labelSelector=label)
        return found

    async def _list(self, path: str, **query: str) -> list[Json]:
        items: list[Json] = (await self._get(path, **query)).get("items") or []
        return items

    async def _get(self, path: str, **query: str) -> Json:
        if self._session is None:
            raise RuntimeError("ApiServer is used outside `async with`.")
        # The kubelet rotates the token in place: read it anew for each call.
        token = (ACCOUNT / "token").read_text().strip()
        async with self._session.get(
            self._base + path, params=query, headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            content: Json = await answer.json()
            return content
