"""The hub-side code in a whole JupyterHub process: page, REST bypasses, thinkube-control away, clean exit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.hub.live import DUMMY, GIB, Hub, World, until


@pytest.fixture(scope="module")
def world(everything: dict[str, Callable[[], Any]]) -> Iterator[World]:
    served = World(everything["images"](), everything["resources"](), everything["manifest"]())
    yield served
    served.close()


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, world: World, everything: dict[str, Callable[[], Any]]
) -> Iterator[Hub]:
    """One hub for all tests of this module: its start takes seconds. Each test has users of its own."""
    running = Hub(tmp_path_factory.mktemp("hub"), world, everything["values"](), DUMMY)
    yield running
    running.close()


def test_page_start_and_thinkube_control_away(hub: Hub, world: World, image_row: Any) -> None:
    user = hub.browser("alice")
    page = user.get("spawn")
    assert page.status_code == 200
    for part in ("size-basic", "size-large", "image-tk-jupyter-scipy", "image-team-r", "figures-age"):
        assert f'data-testid="{part}"' in page.text
    assert "image-tk-jupyter-ml-gpu" not in page.text

    world.images.append(image_row("new-one", "v1"))
    until(lambda: "image-new-one" in user.get("spawn").text, 5)

    xsrf = {"_xsrf": user.cookies["_xsrf"]}
    refused = user.post("spawn", params=xsrf, data={"profile": "huge", "image": "team-r"})
    assert refused.status_code == 409
    assert "CPU huge cannot be started" in refused.text
    assert "size-basic" in refused.text
    link = user.get("spawn", params={"profile": "basic", "image": "team-r"})
    assert (link.status_code, world.pods) == (200, [])
    assert "spawn-error-msg" not in link.text

    started = user.post("spawn", params=xsrf, data={"profile": "basic", "image": "tk-jupyter-scipy"})
    assert started.status_code == 302
    until(lambda: bool(world.pods), 5)
    container = world.pods[0]["spec"]["containers"][0]
    assert container["image"] == "harbor.example.org/library/tk-jupyter-scipy@sha256:" + "ab" * 32
    assert container["resources"] == {
        "limits": {"cpu": 2, "memory": 4 * GIB},
        "requests": {"cpu": 1, "memory": 4 * GIB},
    }

    other = hub.browser("bob")
    world.away = True
    until(lambda: "stale-notice" in other.get("spawn").text, 20)
    begun = time.monotonic()
    page = other.get("spawn")
    assert time.monotonic() - begun < 2
    assert "thinkube-control" in page.text
    refused = other.post(
        "spawn", params={"_xsrf": other.cookies["_xsrf"]}, data={"profile": "basic", "image": "team-r"}
    )
    assert refused.status_code == 503
    world.away = False
    until(lambda: "size-basic" in other.get("spawn").text, 20)


def test_bypasses_leave_no_pod_and_a_living_hub(hub: Hub, world: World) -> None:
    world.pods.clear()
    bypasses: list[object] = [
        {},
        [],
        ["basic"],
        [1, 2],
        "basic",
        7,
        {"image": "evil.example.org/miner"},
        {"profile": "basic", "image": "evil.example.org/miner"},
        {"profile": "basic", "image": "team-r", "cpu": 64},
        {"profile": ["basic"], "image": "team-r"},
        {"profile": "huge", "image": "team-r"},
    ]
    for number, options in enumerate(bypasses):
        code = hub.request_server(f"eve{number}", json.dumps(options).encode())
        assert code in (201, 202, 400, 409), options
    hub.request_server("eve0", b"")
    hub.request_server("mallory", json.dumps({"image": "evil.example.org/miner"}).encode(), server="second")
    # JupyterHub's announcement that it will exit, two seconds after too many failed starts in a row.
    assert "Aborting due to" not in hub.log()
    assert world.pods == []
    for name in ("eve0", "eve3", "mallory"):
        assert hub.api.get(f"users/{name}").json()["servers"] == {} or name == "mallory"
        assert "size-basic" in hub.browser(name).get("spawn").text

    assert hub.stop() == 0
    assert "Task was destroyed" not in hub.log()
