"""A notebook that runs, while everything around it stops, restarts or changes.

One server for all tests here, with a kernel that holds a variable and counts in the background: whatever happens,
both are there afterwards.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubernetes import client
from playwright.sync_api import Browser, Page, expect

from local import credentials as credential_store
from local import stack
from local.cluster_parts import api_client
from local.credentials import ADMIN_USER, PLAIN_USER
from local.engine import Stack
from tests.platform.hub import Hub
from tests.platform.people import Administrator, administrator, keycloak_frozen, wait_until
from tests.platform.program import copy_program
from tests.platform.server import Kernel

COUNT = """
import threading, time
kept, ticks = "set before", 0
def count():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.1)
threading.Thread(target=count, daemon=True).start()
"""
CHOICE = {"profile": "cpu-basic", "image": "tk-jupyter-scipy"}


@dataclass
class Running:
    """The server of PLAIN_USER, its kernel, and the browser that started it."""

    page: Page
    pod: str
    kernel: Kernel

    def ticks(self) -> int:
        """How far the kernel counted. Raises AssertionError when what was set before is gone."""
        kept, ticks = self.kernel.run("print(kept, ticks, sep=',')").strip().split(",")
        assert kept == "set before"
        return int(ticks)


@pytest.fixture(scope="module")
def running(hub: Hub, browser: Browser) -> Iterator[Running]:
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        hub.log_in(page, PLAIN_USER)
        hub.start(page, PLAIN_USER)
        kernel = hub.server(page, PLAIN_USER).kernel()
        kernel.run(COUNT)
        yield Running(page, hub.notebook_pods()[0].metadata.name, kernel)
        hub.stop(page)


@pytest.fixture(scope="module")
def admin(hub: Hub, browser: Browser) -> Iterator[Administrator]:
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        yield administrator(hub, context.new_page())


@pytest.fixture
def goes_on(hub: Hub, running: Running) -> Iterator[None]:
    """After the test the same pod has the same kernel, and it went on counting meanwhile."""
    before, begun = running.ticks(), time.monotonic()
    yield
    counted, waited = running.ticks() - before, time.monotonic() - begun
    assert counted > waited  # ten ticks a second; a tenth of that on the busiest machine
    pods = [pod for pod in hub.notebook_pods() if pod.metadata.name == running.pod]
    assert [pod.status.container_statuses[0].restart_count for pod in pods] == [0]


def test_thinkube_control_stopped(hub: Hub, page: Page, admin: Administrator, goes_on: None) -> None:
    hub.log_in(page, ADMIN_USER)
    hub.open_spawn_page(page)
    _scale_control(hub, 0)
    try:
        # the last answer stays in use, and the page says how old it is
        _reload_until(hub, page, "figures-age", "its last one stays in use")
        assert page.get_by_test_id("size-cpu-basic").is_visible()
        # once it is stale, the page says what is missing, and nothing starts
        _reload_until(hub, page, "stale-notice", "No answer from thinkube-control")
        assert page.get_by_test_id("size-cpu-basic").count() == 0
        refused = hub.request(
            "POST", "hub/spawn", cookies=hub.cookies(page), data=CHOICE,
            params={"_xsrf": hub.cookies(page)["_xsrf"]},
        )  # fmt: skip
        assert refused.status_code == 503
        assert "No answer from thinkube-control" in refused.text
        admin.ask("POST", f"users/{ADMIN_USER}/server", CHOICE)
        wait_until(lambda: not admin.known(ADMIN_USER)["pending"], "the start is settled")
        assert not [pod for pod in hub.notebook_pods() if pod.metadata.name.endswith(ADMIN_USER)]
    finally:
        _scale_control(hub, 1)
    _reload_until(hub, page, "size-cpu-basic", "CPU basic")


def test_keycloak_does_not_answer(hub: Hub, running: Running, admin: Administrator, goes_on: None) -> None:
    # the hub's administrator is asked for anew with each start; a page of this user may still be fresh
    with keycloak_frozen():
        begun = time.monotonic()
        refused = admin.ask("POST", f"users/{ADMIN_USER}/server", CHOICE)
        assert time.monotonic() - begun < 20
        assert refused.status_code == 503, refused.text
        assert refused.json()["message"].startswith("Keycloak does not answer")
        running.page.goto(f"{hub.url}/hub/home")
        expect(running.page.locator("#stop")).to_be_visible()
        assert running.kernel.run("print(kept)") == "set before\n"
        login = hub.request("GET", "hub/oauth_login")
        assert (login.status_code, "Keycloak does not answer" in login.text) == (503, True)

    def starts() -> bool:
        return admin.ask("POST", f"users/{ADMIN_USER}/server", {"profile": "none"}).status_code != 503

    wait_until(starts, "starts are decided again")


def test_the_hub_restarts(hub: Hub, running: Running, goes_on: None) -> None:
    old = hub.pod("hub")
    client.CoreV1Api(api_client()).delete_namespaced_pod(old, hub.tenant.namespace)
    wait_until(lambda: hub.pod("hub") not in ("", old), "a new hub", 120)
    wait_until(lambda: hub.request("GET", "hub/health").status_code == 200, "the hub answers", 120)

    running.page.goto(f"{hub.url}/hub/home")
    expect(running.page.locator("#stop")).to_be_visible()  # logged in still, and the server is known


def test_code_of_the_hub_and_the_image_change(
    hub: Hub, running: Running, hub_stack: Stack, tmp_path: Path, goes_on: None
) -> None:
    old_hub, old_images = hub.pod("hub"), hub_stack.outputs()["images"]
    program = copy_program(tmp_path / "program")
    with (program / "notebooks-profile" / "thinkube_profiles" / "quantities.py").open("a") as code:
        code.write("\n# changed\n")
    with (program / "dockerfiles" / "tk-jupyter-scipy" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write('LABEL org.example.changed="yes"\n')
    changed = stack.open_stack(hub.tenant, credential_store.load(), program=program)
    try:
        changed.up()
        assert hub.pod("hub") != old_hub
        assert changed.outputs()["images"] != old_images
        running.page.goto(f"{hub.url}/hub/home")
        expect(running.page.locator("#stop")).to_be_visible()
        assert running.ticks() > 0
    finally:
        hub_stack.up()


def _scale_control(hub: Hub, replicas: int) -> None:
    client.AppsV1Api(api_client()).patch_namespaced_deployment_scale(
        "backend", hub.tenant.control_namespace, {"spec": {"replicas": replicas}}
    )


def _reload_until(hub: Hub, page: Page, test_id: str, text: str) -> None:
    """Reload the spawn page until the element is there and the page has the text."""

    def shown() -> bool:
        page.goto(f"{hub.url}/hub/spawn")
        there = page.get_by_test_id(test_id).first.is_visible()
        return there and re.search(re.escape(text), page.inner_text("body")) is not None

    wait_until(shown, f"{test_id}: {text}", 120)
