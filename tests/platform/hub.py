"""What platform tests do with a hub: log in, start, stop, and look at the cluster behind it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client
from playwright.sync_api import Page, expect

from local.cluster_parts import api_client
from local.platform import Tenant

START_TIMEOUT_MS = 180_000  # the first start on a cold node pulls the image


@dataclass(frozen=True)
class Hub:
    """A deployed hub as its users and its admin see it."""

    url: str
    tenant: Tenant
    users: dict[str, str]
    volume: Path
    ca_file: Path
    control_token: str

    def picture(self, page: Page, name: str) -> None:
        """A screenshot for the documentation, when SCREENSHOTS names the folder that it goes to."""
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=str(Path(folder) / f"{name}.png"))

    def submit_login(self, page: Page, user: str, password: str) -> None:
        """Open the hub and fill in Keycloak's form."""
        page.goto(f"{self.url}/hub/home")
        page.get_by_role("button", name="Sign in with Keycloak").click()
        expect(page).to_have_url(re.compile(r"^https://auth\.thinkube\.test/realms/"))
        self.picture(page, "login")
        page.fill("#username", user)
        page.fill("#password", password)
        page.click("#kc-login")

    def log_in(self, page: Page, user: str) -> None:
        """Log in with the right password and wait for the hub's home page."""
        self.submit_login(page, user, self.users[user])
        expect(page).to_have_url(f"{self.url}/hub/home")

    def open_spawn_page(self, page: Page) -> None:
        """The spawn page of a user without a running server: one that runs is stopped first."""
        self.stop(page)
        page.goto(f"{self.url}/hub/spawn")
        expect(page.get_by_test_id("figures-age")).to_be_visible()

    def start(
        self, page: Page, user: str, *, size: str = "cpu-basic", image: str = "tk-jupyter-scipy"
    ) -> None:
        """Start a server from the spawn page and wait for JupyterLab."""
        self.open_spawn_page(page)
        page.get_by_test_id(f"size-{size}").get_by_role("radio").check()
        page.get_by_test_id(f"image-{image}").get_by_role("radio").check()
        page.get_by_role("button", name="Start").click()
        expect(page).to_have_url(re.compile(rf"/user/{user}/lab"), timeout=START_TIMEOUT_MS)
        expect(page.locator(".jp-Launcher, .jp-Notebook").first).to_be_visible(timeout=60_000)

    def stop(self, page: Page) -> None:
        """Stop one's own server, if it runs, from the hub's home page and wait until it is gone."""
        page.goto(f"{self.url}/hub/home")
        expect(page.locator("#start")).to_be_visible()
        if page.locator("#stop").is_visible():
            page.locator("#stop").click()
        expect(page.locator("#start")).to_have_text(re.compile(r"Start\s+My Server"), timeout=60_000)

    def run_cell(self, page: Page, user: str, code: str, output: str) -> None:
        """Type code into a fresh notebook's first cell in ~/thinkube/notebooks, run it and wait for its output."""
        page.goto(f"{self.url}/user/{user}/lab/tree/thinkube/notebooks")
        page.locator(".jp-LauncherCard[data-category=Notebook]").first.click()
        cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
        cell.click()
        expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first).to_be_visible(
            timeout=60_000
        )
        for number, line in enumerate(code.splitlines()):
            if number:
                page.keyboard.press("Enter")
            page.keyboard.type(line)
        expect(cell).to_contain_text(code.splitlines()[-1])  # an editor that is not ready yet swallows keys
        page.keyboard.press("Shift+Enter")
        expect(page.locator(".jp-OutputArea-output").first).to_contain_text(output, timeout=60_000)

    def notebook_pods(self) -> list[Any]:
        """The users' pods, as the API server has them."""
        core = client.CoreV1Api(api_client())
        selector = "component=singleuser-server"
        pods: list[Any] = core.list_namespaced_pod(self.tenant.namespace, label_selector=selector).items
        return pods

    def exec(self, pod: str, *command: str) -> str:
        """Run a command in a notebook's container; its output."""
        from kubernetes.stream import stream

        core = client.CoreV1Api(api_client())
        output: str = stream(
            core.connect_get_namespaced_pod_exec, pod, self.tenant.namespace, container="notebook",
            command=list(command), stdout=True, stderr=True, stdin=False, tty=False,
        )  # fmt: skip
        return output

    def control_request(self, method: str, path: str) -> Any:
        """Ask the tests' thinkube-control through the API server, as an admin outside the cluster would."""
        core = client.CoreV1Api(api_client())
        call = getattr(core, f"connect_{method.lower()}_namespaced_service_proxy_with_path")
        answer = call(
            "backend:8000", self.tenant.control_namespace, path=f"api/v1/{path}", _preload_content=False
        )
        return json.loads(answer.data)
