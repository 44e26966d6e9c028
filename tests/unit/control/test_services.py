"""Services come from labelled ConfigMaps, as thinkube-control takes them; the program's own is one of them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from components.service_entry import service_entry
from components.settings.models import Settings
from tests.unit.components.conftest import MINIMAL

API = "/api/v1/services"
HUB = ("deployments", "jupyterhub", "hub")


def config_map(service: Any, namespace: str = "jupyterhub") -> dict[str, Any]:
    text = service if isinstance(service, str) else yaml.safe_dump({"service": service})
    return {
        "metadata": {"name": "thinkube-service-config", "namespace": namespace},
        "data": {"service.yaml": text},
    }


@pytest.fixture
def hub(cluster: Any) -> dict[str, Any]:
    """The program's entry, listed in the cluster, and its Deployment running."""
    entry: dict[str, Any] = service_entry(Settings.model_validate(MINIMAL))["service"]
    cluster.service_list.append(config_map(entry))
    cluster.running[HUB] = (1, 1)
    return entry


async def listed(client: Any, auth: dict[str, str]) -> list[dict[str, Any]]:
    await client.post(f"{API}/sync", headers=auth)
    answer = await (await client.get(f"{API}/", headers=auth)).json()
    assert answer["total"] == len(answer["services"])
    services: list[dict[str, Any]] = answer["services"]
    return services


async def test_the_hub_is_listed(client: Any, auth: dict[str, str], hub: dict[str, Any]) -> None:
    (row,) = await listed(client, auth)
    assert {
        key: row[key] for key in ("name", "display_name", "type", "category", "icon", "dependencies")
    } == {key: hub[key] for key in ("name", "display_name", "type", "category", "icon", "dependencies")}
    assert (row["namespace"], row["resource_type"], row["resource_name"]) == (
        "jupyterhub",
        "deployment",
        "hub",
    )
    assert (row["url"], row["health_endpoint"]) == (
        "https://jupyter.example.org",
        "https://jupyter.example.org/hub/health",
    )
    assert (row["is_enabled"], row["can_be_disabled"], row["can_disable"]) == (True, False, False)
    assert row["service_metadata"]["ready_replicas"] == 1
    assert [endpoint["is_primary"] for endpoint in row["endpoints"]] == [True]


async def test_a_row_keeps_its_id_and_goes_off_with_its_configmap(
    client: Any, auth: dict[str, str], hub: dict[str, Any], cluster: Any
) -> None:
    (before,) = await listed(client, auth)
    cluster.running[HUB] = (0, 0)
    (scaled,) = await listed(client, auth)
    assert (scaled["id"], scaled["is_enabled"]) == (before["id"], False)
    cluster.running[HUB] = (1, 1)
    cluster.service_list.clear()
    (gone,) = await listed(client, auth)
    assert (gone["id"], gone["is_enabled"]) == (before["id"], False)


async def test_what_describes_no_service_is_skipped(
    client: Any, auth: dict[str, str], cluster: Any, hub: Any
) -> None:
    for text in ("a: [", "- 1", "service: {}", "", "other: 1"):
        cluster.service_list.append(config_map(text))
    cluster.service_list.append(config_map({"name": "jupyterhub", "description": "a second one"}))
    cluster.service_list.append(config_map({"name": "app"}, "apps"))
    assert [(row["name"], row["type"], row["namespace"]) for row in await listed(client, auth)] == [
        ("jupyterhub", "core", "jupyterhub"),
        ("app", "optional", "apps"),
    ]


async def test_an_unknown_type_ends_the_whole_discovery(
    client: Any, auth: dict[str, str], cluster: Any, hub: Any
) -> None:
    """thinkube-control's own rule: one such ConfigMap, and nobody's services are read."""
    cluster.service_list.append(config_map({"name": "x", "type": "component"}))
    answer = await client.post(f"{API}/sync", headers=auth)
    assert answer.status == 500
    assert await listed(client, auth) == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/sync"), ("POST", "/x/health-check")])
async def test_all_of_it_needs_the_token(client: Any, method: str, path: str) -> None:
    assert (await client.request(method, API + path)).status == 401


@pytest.mark.parametrize(
    ("status", "health"),
    [(200, "healthy"), (302, "healthy"), (403, "healthy"), (404, "unhealthy"), (503, "unhealthy")],
)
async def test_health_is_the_status_of_the_primary_endpoint(
    client: Any, auth: dict[str, str], cluster: Any, hub: dict[str, Any], status: int, health: str
) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        hub["endpoints"][0]["health_url"] = str(server.make_url("/hub/health"))
        cluster.service_list[:] = [config_map(hub)]
        (row,) = await listed(client, auth)
        result = await (await client.post(f"{API}/{row['id']}/health-check", headers=auth)).json()
    assert (result["status"], result["status_code"], asked) == (health, status, ["/hub/health"])
    (row,) = await listed(client, auth)
    assert row["latest_health"]["status"] == health


async def test_nobody_answers(client: Any, auth: dict[str, str], cluster: Any, hub: dict[str, Any]) -> None:
    hub["endpoints"][0]["health_url"] = "http://127.0.0.1:1/"
    cluster.service_list[:] = [config_map(hub)]
    (row,) = await listed(client, auth)
    result = await (await client.post(f"{API}/{row['id']}/health-check", headers=auth)).json()
    assert result["status"] == "unhealthy"
    assert result["error_message"]
    assert (await client.post(f"{API}/nobody/health-check", headers=auth)).status == 404
