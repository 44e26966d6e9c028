"""A cluster of plain objects, and the stand-in's application over it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from local.control.service import make_app

TOKEN = "tk_example"


class FakeCluster:
    """Lists that tests change; `fail` makes every call raise it."""

    def __init__(self) -> None:
        self.node_list: list[dict[str, Any]] = []
        self.pod_list: list[dict[str, Any]] = []
        self.configmap_list: list[dict[str, Any]] = []
        self.service_list: list[dict[str, Any]] = []
        self.running: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.fail: Exception | None = None
        self.pod_reads = 0

    async def nodes(self) -> list[dict[str, Any]]:
        return self._give(self.node_list)

    async def running_pods(self) -> list[dict[str, Any]]:
        self.pod_reads += 1
        return self._give(self.pod_list)

    async def image_manifests(self) -> list[dict[str, Any]]:
        return self._give(self.configmap_list)

    async def service_configs(self) -> list[dict[str, Any]]:
        return self._give(self.service_list)

    async def replicas(self, plural: str, namespace: str, name: str) -> tuple[int, int]:
        return self.running.get((plural, namespace, name), (0, 0))

    def _give(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.fail:
            raise self.fail
        return items

    def add_node(self, name: str, cpu: str, memory: str, **more: str) -> None:
        self.node_list.append(
            {"metadata": {"name": name}, "status": {"capacity": {"cpu": cpu, "memory": memory} | more}}
        )

    def add_pod(self, node: str | None, **limits: str) -> None:
        self.pod_list.append({"spec": {"nodeName": node, "containers": [{"resources": {"limits": limits}}]}})

    def announce(self, *images: dict[str, Any], category: str = "user", name: str = "catalogue") -> None:
        """One labelled ConfigMap with these images."""
        self.configmap_list.append(
            {
                "metadata": {"name": name, "labels": {"thinkube.io/category": category}},
                "data": {"manifest.json": json.dumps({"manifest_version": "1.0", "images": list(images)})},
            }
        )


def image(name: str, tag: str, **metadata: Any) -> dict[str, Any]:
    return {
        "name": name,
        "registry": "harbor.example.org",
        "repository": f"library/{name}",
        "tag": tag,
        "description": f"All of {name}",
        "metadata": {"purpose": "jupyter", "display_name": name.upper()} | metadata,
    }


@pytest.fixture
def make_image() -> Any:
    """Makes one image of a manifest: name, tag, metadata."""
    return image


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
async def client(cluster: FakeCluster) -> AsyncIterator[TestClient[Any, Any]]:
    """The service, started on `cluster` as an autouse fixture of the test left it."""
    async with TestClient(TestServer(make_app(cluster, TOKEN, cache_seconds=0.05))) as started:
        yield started


@pytest.fixture
def auth() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}
