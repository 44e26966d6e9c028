"""Where the facts come from: thinkube-control over HTTP, the catalogue over the cluster's API.

Owns connections and their bounds. Leaves alone what the answers mean and how often to ask. Everything is
async on the hub's own loop, with clients of its own: a neighbour that hangs takes none of the slots that
the hub's proxy client needs.
"""

from __future__ import annotations

import json

from kubernetes_asyncio import client, config
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from .rules import CatalogueSource, Control

_MOST_BYTES = 4 * 2**20
"""Enough for 4,000 nodes with their devices; a larger answer is refused, not parsed on the hub's loop."""


class ControlClient:
    """thinkube-control's read-only endpoints."""

    def __init__(self, settings: Control) -> None:
        self._url = settings.url
        self._deadline = settings.deadline_seconds
        self._http: SimpleAsyncHTTPClient | None = None

    async def images(self) -> object:
        """`GET /images/jupyter`, parsed as JSON, not judged."""
        return await self._get("/images/jupyter")

    async def resources(self) -> object:
        """`GET /cluster/resources`, parsed as JSON, not judged."""
        return await self._get("/cluster/resources")

    async def _get(self, path: str) -> object:
        """Raises whatever stands in the way: OSError, HTTPError (also for redirects), ValueError for what
        is no JSON.
        """
        if self._http is None:
            self._http = SimpleAsyncHTTPClient(force_instance=True, max_clients=4, max_body_size=_MOST_BYTES)
        answer = await self._http.fetch(
            self._url + path,
            connect_timeout=self._deadline,
            request_timeout=self._deadline,
            follow_redirects=False,
            headers={"Accept": "application/json"},
        )
        return json.loads(answer.body)

    async def close(self) -> None:
        """Drop the connections."""
        if self._http:
            self._http.close()
            self._http = None


class CatalogueClient:
    """The catalogue ConfigMap, read with the hub's own service account."""

    def __init__(self, source: CatalogueSource, deadline_seconds: float) -> None:
        self._source = source
        self._deadline = deadline_seconds
        self._api: client.ApiClient | None = None

    async def manifest(self) -> str:
        """Text of `manifest.json`. Raises ApiException, ConfigException outside a cluster, ValueError
        without the key.
        """
        if self._api is None:
            settings = client.Configuration()
            config.load_incluster_config(client_configuration=settings)
            self._api = client.ApiClient(settings)
        found = await client.CoreV1Api(self._api).read_namespaced_config_map(
            self._source.config_map, self._source.namespace, _request_timeout=self._deadline
        )
        manifest = (found.data or {}).get("manifest.json")
        if not isinstance(manifest, str):
            raise ValueError(f"ConfigMap {self._source.config_map} has no manifest.json")
        return manifest

    async def close(self) -> None:
        """Drop the connections."""
        if self._api:
            await self._api.close()
            self._api = None
