"""A whole JupyterHub process with the shim, and what surrounds it: the harness of the tests on a live hub.

Loopback only. The proxy, the cluster's API, thinkube-control and Keycloak are a few lines each in a thread of the
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
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
{authenticator}
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

DUMMY = """
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "secret"
c.DummyAuthenticator.allow_all = True
"""
KEYCLOAK = """
import os
os.environ["JUPYTERHUB_CRYPT_KEY"] = "ab" * 32
c.JupyterHub.authenticator_class = "thinkube_profiles.authenticator.KeycloakAuthenticator"
keycloak = c.GenericOAuthenticator
keycloak.client_id, keycloak.client_secret = "jupyterhub", "client-secret"
keycloak.login_service = "Keycloak"
keycloak.oauth_callback_url = {hub!r} + "/hub/oauth_callback"
keycloak.authorize_url = {world!r} + "/realm/auth"
keycloak.token_url = {world!r} + "/realm/token"
keycloak.userdata_url = {world!r} + "/realm/userinfo"
keycloak.logout_redirect_url = {world!r} + "/realm/logout?client_id=jupyterhub"
keycloak.scope = ["openid"]
keycloak.enable_pkce = True
keycloak.username_claim = "preferred_username"
keycloak.manage_groups = True
keycloak.auth_state_groups_key = "oauth_user.groups"
keycloak.admin_groups = {{"admins"}}
keycloak.allowed_groups = {{"team"}}
keycloak.enable_auth_state = True
keycloak.refresh_pre_spawn = True
keycloak.auth_refresh_age = {refresh_age}
c.KeycloakAuthenticator.deadline = 0.5
"""


@dataclass
class Account:
    """One account in the realm, and its session: what Keycloak's answers follow from."""

    sub: str
    name: str
    groups: list[str] = field(default_factory=lambda: ["team"])
    access_token: str = ""
    refresh_token: str = ""


class Keycloak:
    """The realm's endpoints; `fault` makes it away: a status instead of an answer, or 0 for silence."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.fault: int | None = None
        self._issued = 0

    def issue(self, account: Account) -> dict[str, object]:
        self._issued += 1
        account.access_token, account.refresh_token = f"access-{self._issued}", f"refresh-{self._issued}"
        return {
            "access_token": account.access_token,
            "refresh_token": account.refresh_token,
            "id_token": f"id-{account.sub}",
            "token_type": "Bearer",
        }

    async def answer(self, request: Any) -> tuple[int, object]:
        if self.fault == 0:
            await asyncio.sleep(30)
        if self.fault:
            return self.fault, "<html>not JSON</html>"
        if request.path == "/realm/userinfo":
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            account = next((a for a in self.accounts.values() if token and a.access_token == token), None)
            if account is None:
                return 401, {"error": "invalid_token"}
            return 200, {
                "sub": account.sub, "preferred_username": account.name, "groups": account.groups,
            }  # fmt: skip
        form = parse_qs(request.body.decode())
        if form["client_secret"] != ["client-secret"]:
            return 401, {"error": "unauthorized_client"}
        if form["grant_type"] == ["authorization_code"] and form.get("code_verifier"):
            account = self.accounts.get(form["code"][0])
        else:
            token = form.get("refresh_token", [""])[0]
            account = next((a for a in self.accounts.values() if token and a.refresh_token == token), None)
        return (200, self.issue(account)) if account else (400, {"error": "invalid_grant"})


class World:
    """What surrounds the hub, on one port: proxy, cluster, thinkube-control, Keycloak. In a thread of its own."""

    def __init__(self, images: Any, resources: Any, manifest: Any) -> None:
        self.images, self.resources, self.manifest = images, resources, manifest
        self.keycloak = Keycloak()
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
        if path.startswith("/realm/"):
            await self._keycloak()
        elif path == "/proxy/api/routes":
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

    async def _keycloak(self) -> None:
        status, content = await self.world.keycloak.answer(self.request)
        self.set_status(status)
        self.finish(content if isinstance(content, str) else json.dumps(content))

    async def post(self) -> None:
        if self.request.path.startswith("/realm/"):
            await self._keycloak()
            return
        self.set_status(201)
        if self.request.path == f"{NAMESPACE}/pods":
            self.world.pods.append(json.loads(self.request.body))
            self.finish(self.request.body)

    async def delete(self) -> None:
        self.send_error(404 if self.request.path.startswith(NAMESPACE) else 204)


class Hub:
    """The hub's process, and a client with the rights of an administrator's service."""

    def __init__(
        self,
        folder: Path,
        world: World,
        values: dict[str, Any],
        authenticator: str = DUMMY,
        *,
        refresh_age: float = 300,
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/hub/"
        self._folder = folder
        values["control"] |= {
            "url": f"{world.url}/control",
            "refreshSeconds": 0.2,
            "deadlineSeconds": 1,
            "staleAfterSeconds": 4,
        }
        (folder / "config.py").write_text(
            CONFIG.format(
                package=str(SHIM.parent),
                shim=str(SHIM),
                world=world.url,
                values=values,
                token=TOKEN,
                hub=f"http://127.0.0.1:{port}",
                authenticator=authenticator.format(
                    world=world.url, hub=f"http://127.0.0.1:{port}", refresh_age=refresh_age
                ),
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
        until(self._healthy, 120)

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
        client = self.visitor()
        client.get("login")
        form = {"username": name, "password": "secret"}
        answer = client.post("login", params={"_xsrf": client.cookies["_xsrf"]}, data=form)
        assert answer.status_code == 302, answer.text
        return client

    def visitor(self) -> httpx.Client:
        """A client that nobody is logged in with."""
        client = httpx.Client(base_url=self.url, trust_env=False, timeout=10)
        self._clients.append(client)
        return client

    def log_in(self, client: httpx.Client, code: str) -> httpx.Response:
        """The way through Keycloak, which comes back with this code; the hub's answer to that."""
        sent = client.get("oauth_login")
        assert sent.status_code == 302, sent.text
        state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
        return client.get("oauth_callback", params={"code": code, "state": state})

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
