"""A whole JupyterHub process with the shim: page, REST bypasses, thinkube-control away, clean exit.

Loopback only. The proxy, the cluster's API and thinkube-control are a few lines each in a thread of the
test; the hub, its handlers, its database and KubeSpawner are real.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tornado import httpserver, web

SHIM = Path(__file__).resolve().parents[3] / "notebooks-profile" / "50-thinkube.py"
TOKEN = "token-of-the-test"
GIB = 2**30
NAMESPACE = "/api/v1/namespaces/jupyterhub"

CONFIG = """
import sys, types
sys.path.insert(0, {package!r})
import kubernetes_asyncio.config
from kubernetes_asyncio import client

def load_incluster_config(client_configuration=None, **_):
    found = client_configuration or client.Configuration()
    found.host = {world!r}
    if client_configuration is None:
        client.Configuration.set_default(found)

kubernetes_asyncio.config.load_incluster_config = load_incluster_config
z2jh = types.ModuleType("z2jh")
z2jh.get_config = {{"custom.thinkube": {values!r}}}.get
sys.modules["z2jh"] = z2jh

c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "secret"
c.DummyAuthenticator.allow_all = True
c.JupyterHub.hub_bind_url = {hub!r}
c.JupyterHub.bind_url = "http://127.0.0.1:1"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = "proxy"
c.ConfigurableHTTPProxy.api_url = {world!r} + "/proxy"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 0}}
c.JupyterHub.services = [{{"name": "tests", "api_token": {token!r}}}]
scopes = ["admin:users", "admin:servers"]
c.JupyterHub.load_roles = [{{"name": "tests", "services": ["tests"], "scopes": scopes}}]
c.KubeSpawner.namespace = "jupyterhub"
c.KubeSpawner.start_timeout = 2
c.KubeSpawner.events_enabled = False
c.Spawner.consecutive_failure_limit = 5
exec(compile(open({shim!r}).read(), {shim!r}, "exec"))
"""


class World:
    """What surrounds the hub, on one port: proxy, cluster, thinkube-control. Served by its own thread."""

    def __init__(self, images: Any, resources: Any, manifest: Any) -> None:
        self.images, self.resources, self.manifest = images, resources, manifest
        self.away = False
        self.pods: list[Any] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=[ready], daemon=True)
        self._thread.start()
        assert ready.wait(5)

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = httpserver.HTTPServer(web.Application([(r"/.*", _Handler, {"world": self})]))
        self._loop.call_soon(server.add_socket, listening)
        self._loop.call_soon(ready.set)
        self._loop.run_forever()
        server.stop()
        self._loop.run_until_complete(server.close_all_connections())
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class _Handler(web.RequestHandler):
    def initialize(self, world: World) -> None:
        self.world = world

    async def get(self) -> None:
        path = self.request.path
        if path == "/proxy/api/routes":
            self.finish({})
        elif path.startswith("/control/"):
            if self.world.away:
                await asyncio.sleep(30)
            found = self.world.images if path.endswith("/jupyter") else self.world.resources
            self.finish(json.dumps(found))
        elif path == f"{NAMESPACE}/configmaps/jupyterhub-image-catalogue":
            self.finish({"data": {"manifest.json": json.dumps(self.world.manifest)}})
        elif path == f"{NAMESPACE}/pods":
            if self.get_argument("watch", ""):
                await asyncio.sleep(30)
            self.finish({"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": []})
        else:
            self.send_error(404)

    async def post(self) -> None:
        self.set_status(201)
        if self.request.path == f"{NAMESPACE}/pods":
            self.world.pods.append(json.loads(self.request.body))
            self.finish(self.request.body)

    async def delete(self) -> None:
        self.send_error(404 if self.request.path.startswith(NAMESPACE) else 204)


class Hub:
    """The hub's process, and a client with the rights of an administrator's service."""

    def __init__(self, folder: Path, world: World, values: dict[str, Any]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/hub/"
        self._folder = folder
        values["control"] |= {
            "url": f"{world.url}/control",
            "refreshSeconds": 0.2,
            "deadlineSeconds": 0.3,
            "staleAfterSeconds": 1.5,
        }
        (folder / "config.py").write_text(
            CONFIG.format(
                package=str(SHIM.parent),
                shim=str(SHIM),
                world=world.url,
                values=values,
                token=TOKEN,
                hub=f"http://127.0.0.1:{port}",
            )
        )
        self.api = httpx.Client(
            base_url=f"{self.url}api/",
            headers={"Authorization": f"token {TOKEN}"},
            trust_env=False,
            timeout=10,
        )
        self._clients = [self.api]
        self._log = (folder / "hub.log").open("wb")
        command = [sys.executable, "-m", "jupyterhub", "-f", "config.py"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=self._log, stderr=self._log)
        until(self._healthy, 30)

    def _healthy(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return self.api.get("").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()
            self._log.close()

    def close(self) -> None:
        self.stop()
        for client in self._clients:
            client.close()

    def log(self) -> str:
        return (self._folder / "hub.log").read_text(errors="replace")

    def browser(self, name: str) -> httpx.Client:
        """A client that is logged in as this user."""
        client = httpx.Client(base_url=self.url, trust_env=False, timeout=10)
        self._clients.append(client)
        client.get("login")
        form = {"username": name, "password": "secret"}
        answer = client.post("login", params={"_xsrf": client.cookies["_xsrf"]}, data=form)
        assert answer.status_code == 302, answer.text
        return client

    def request_server(self, name: str, content: bytes, server: str = "") -> int:
        """Ask for a server by REST, and wait until the request is settled; its status code."""
        self.api.post(f"users/{name}")
        path = f"users/{name}/servers/{server}" if server else f"users/{name}/server"
        answer = self.api.post(path, content=content)
        until(lambda: not self.api.get(f"users/{name}").json()["pending"], 10)
        return answer.status_code


def until(happened: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


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
    running = Hub(tmp_path_factory.mktemp("hub"), world, everything["values"]())
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
    until(lambda: "stale-notice" in other.get("spawn").text, 8)
    begun = time.monotonic()
    page = other.get("spawn")
    assert time.monotonic() - begun < 0.5
    assert "thinkube-control" in page.text
    refused = other.post(
        "spawn", params={"_xsrf": other.cookies["_xsrf"]}, data={"profile": "basic", "image": "team-r"}
    )
    assert refused.status_code == 503
    world.away = False
    until(lambda: "size-basic" in other.get("spawn").text, 8)


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
