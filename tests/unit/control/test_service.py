"""The contract over HTTP: what is answered, when it is read anew, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

API = "/api/v1"


async def answer(client: Any, path: str) -> Any:
    response = await client.get(API + path)
    assert response.status == 200
    return await response.json()


class TestImages:
    """Read at start and on request, never forgotten, only notebooks."""

    @pytest.fixture(autouse=True)
    def _announced(self, cluster: Any, make_image: Any) -> None:
        cluster.announce(make_image("scipy", "1"), make_image("base", "1", purpose="base"))

    async def test_notebook_images_are_listed_in_the_known_shape(self, client: Any) -> None:
        assert await answer(client, "/images/jupyter") == [
            {
                "name": "scipy",
                "display_name": "SCIPY",
                "description": "All of scipy",
                "default": True,
                "metadata": {
                    "image_size": None,
                    "registry": "harbor.example.org",
                    "repository": "library/scipy",
                    "tag": "1",
                },
            }
        ]

    async def test_a_new_manifest_shows_after_a_sync_only(
        self, client: Any, cluster: Any, make_image: Any, auth: dict[str, str]
    ) -> None:
        cluster.announce(make_image("torch", "1"))
        assert len(await answer(client, "/images/jupyter")) == 1
        response = await client.post(f"{API}/harbor/images/sync", headers=auth)
        assert await response.json() == {
            "message": "Sync completed successfully",
            "statistics": {"system": 0, "user": 3, "total": 3},
        }
        assert [(row["name"], row["default"]) for row in await answer(client, "/images/jupyter")] == [
            ("scipy", True),
            ("torch", False),
        ]

    async def test_a_row_is_updated_but_never_deleted(
        self, client: Any, cluster: Any, make_image: Any, auth: dict[str, str]
    ) -> None:
        cluster.configmap_list.clear()
        cluster.announce(make_image("scipy", "2"), make_image("scipy", "1", display_name="Older"))
        await client.post(f"{API}/harbor/images/sync", headers=auth)
        cluster.configmap_list.clear()
        await client.post(f"{API}/harbor/images/sync", headers=auth)
        rows = await answer(client, "/images/jupyter")
        assert [(row["metadata"]["tag"], row["display_name"]) for row in rows] == [
            ("1", "Older"),
            ("2", "SCIPY"),
        ]

    @pytest.mark.parametrize(
        "headers", [{}, {"Authorization": "Bearer tk_wrong"}, {"Authorization": "tk_example"}]
    )
    async def test_a_sync_without_the_token_is_refused(self, client: Any, headers: dict[str, str]) -> None:
        response = await client.post(f"{API}/harbor/images/sync", headers=headers)
        assert response.status == 401
        assert await response.json() == {"detail": "Not authenticated"}
        assert "WWW-Authenticate" in response.headers

    async def test_a_failed_sync_keeps_what_is_known(
        self, client: Any, cluster: Any, auth: dict[str, str]
    ) -> None:
        cluster.fail = OSError("no route")
        response = await client.post(f"{API}/harbor/images/sync", headers=auth)
        assert (response.status, await response.json()) == (500, {"detail": "Sync failed: no route"})
        assert len(await answer(client, "/images/jupyter")) == 1

    async def test_a_broken_manifest_spoils_no_other(
        self, client: Any, cluster: Any, auth: dict[str, str]
    ) -> None:
        cluster.configmap_list[:0] = [
            {"metadata": {"name": "a"}, "data": {"manifest.json": "{"}},
            {"metadata": {}},
        ]
        response = await client.post(f"{API}/harbor/images/sync", headers=auth)
        assert (await response.json())["statistics"]["total"] == 2

    async def test_an_unknown_category_fails_the_sync(
        self, client: Any, cluster: Any, make_image: Any, auth: dict[str, str]
    ) -> None:
        cluster.announce(make_image("x", "1"), category="other")
        response = await client.post(f"{API}/harbor/images/sync", headers=auth)
        assert response.status == 500


class TestAway:
    """A cluster that does not answer at the start is no reason to die."""

    @pytest.fixture(autouse=True)
    def _away(self, cluster: Any) -> None:
        cluster.fail = OSError("no route")

    async def test_it_starts_and_recovers(self, client: Any, cluster: Any) -> None:
        assert await (await client.get("/health")).json() == {"status": "ok"}
        assert await answer(client, "/images/jupyter") == []
        response = await client.get(f"{API}/cluster/resources")
        assert (response.status, await response.json()) == (500, {"detail": "no route"})
        cluster.fail = None
        assert await answer(client, "/cluster/resources") == []


class TestResources:
    """Answered from figures that are kept warm, not from the request."""

    @pytest.fixture(autouse=True)
    def _node(self, cluster: Any) -> None:
        cluster.add_node("node-1", "4", "8Gi")

    async def test_changes_show_within_the_caches_time(self, client: Any, cluster: Any) -> None:
        assert (await answer(client, "/cluster/resources"))[0]["available"]["cpu"] == 4
        cluster.add_pod("node-1", cpu="1")
        await asyncio.sleep(0.2)
        assert (await answer(client, "/cluster/resources"))[0]["available"]["cpu"] == 3

    async def test_requests_cost_no_pod_lists(self, client: Any, cluster: Any) -> None:
        await answer(client, "/cluster/resources")
        before = cluster.pod_reads
        for _ in range(20):
            await answer(client, "/cluster/resources")
        assert cluster.pod_reads <= before + 5

    async def test_the_last_figures_outlive_the_cluster(self, client: Any, cluster: Any) -> None:
        await answer(client, "/cluster/resources")
        cluster.fail = OSError("no route")
        await asyncio.sleep(0.15)
        assert (await answer(client, "/cluster/resources"))[0]["name"] == "node-1"


class TestConfig:
    """Defaults for everyone to read, changed with the token and within bounds only."""

    NEW = {"default_node": "n", "default_cpu_cores": 2, "default_memory_gb": 4, "default_gpu_count": 1}  # noqa: RUF012

    async def test_defaults(self, client: Any) -> None:
        found = await answer(client, "/jupyterhub/config")
        assert set(found) == set(self.NEW) | {"id", "created_at", "updated_at"}
        assert (found["default_cpu_cores"], found["default_memory_gb"], found["default_node"]) == (4, 8, None)

    async def test_an_update_is_kept(self, client: Any, auth: dict[str, str]) -> None:
        response = await client.put(f"{API}/jupyterhub/config", json=self.NEW, headers=auth)
        assert response.status == 200
        assert (await answer(client, "/jupyterhub/config")).items() >= self.NEW.items()

    @pytest.mark.parametrize(
        "change",
        [
            {"default_cpu_cores": 0},
            {"default_memory_gb": "4"},
            {"default_gpu_count": True},
            {"default_node": 5},
        ],
    )
    async def test_a_wrong_update_is_refused(
        self, client: Any, auth: dict[str, str], change: dict[str, Any]
    ) -> None:
        response = await client.put(f"{API}/jupyterhub/config", json=self.NEW | change, headers=auth)
        assert response.status == 422
        assert (await response.json())["detail"][0]["loc"] == ["body", next(iter(change))]

    async def test_an_update_without_the_token_is_refused(self, client: Any) -> None:
        assert (await client.put(f"{API}/jupyterhub/config", json=self.NEW)).status == 401

    async def test_no_json_is_refused(self, client: Any, auth: dict[str, str]) -> None:
        assert (await client.put(f"{API}/jupyterhub/config", data=b"{", headers=auth)).status == 422


async def test_unknown_paths_and_methods_answer_as_the_real_one(client: Any) -> None:
    response = await client.get(f"{API}/nothing")
    assert (response.status, await response.json()) == (404, {"detail": "Not Found"})
    response = await client.delete(f"{API}/images/jupyter")
    assert (response.status, await response.json()) == (405, {"detail": "Method Not Allowed"})
