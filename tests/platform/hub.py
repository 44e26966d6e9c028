"""What platform tests do with a hub: log in, start, stop, and look at the cluster behind it."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from kubernetes import client
from playwright.sync_api import Page, expect

from local.cluster_parts import api_client
from local.paths import KEYCLOAK_URL
from local.platform import Tenant
from tests.platform.server import NotebookServer

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
        self.open_login_form(page)
        self.picture(page, "login")
        page.fill("#username", user)
        page.fill("#password", password)
        page.click("#kc-login")

    def open_login_form(self, page: Page) -> None:
        """From the hub's home page to Keycloak's form, which a browser without a session there gets."""
        page.goto(f"{self.url}/hub/home")
        page.get_by_role("button", name="Sign in with Keycloak").click()
        expect(page).to_have_url(re.compile(f"^{re.escape(KEYCLOAK_URL)}/realms/"))
        expect(page.locator("#username")).to_be_visible()

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
        """Type code into a fresh notebook's first cell in ~/thinkube/notebooks, run it and wait for its output.

        Each step waits for what the next one needs, and a key that the page swallowed is pressed again.
        """
        page.goto(f"{self.url}/user/{user}/lab/tree/thinkube/notebooks")
        page.locator(".jp-LauncherCard[data-category=Notebook]").first.click()
        cell = page.locator(".jp-Notebook .jp-Cell").first
        editor, prompt = cell.locator(".cm-content"), cell.locator(".jp-InputPrompt")
        expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first).to_be_visible(
            timeout=120_000
        )
        page.wait_for_timeout(500)  # the page moves the focus once more when the kernel is there
        editor.fill(code)
        for line in code.splitlines():
            expect(editor).to_contain_text(line)
        deadline = time.monotonic() + 120
        while prompt.inner_text().strip() in ("", "[ ]:"):  # neither running nor done
            assert time.monotonic() < deadline, "JupyterLab does not run the cell"
            editor.press("Shift+Enter")
            page.wait_for_timeout(3_000)
        expect(page.locator(".jp-OutputArea-output").first).to_contain_text(output, timeout=120_000)

    def server(self, page: Page, user: str) -> NotebookServer:
        """The running server of the user who is logged in here, with a token of that user."""
        answer = self.api(page, "POST", f"users/{user}/tokens", {"note": "test", "expires_in": 3600})
        assert answer.status_code == 201, answer.text
        return NotebookServer(f"{self.url}/user/{user}/", answer.json()["token"], self.ca_file)

    def cookies(self, page: Page) -> dict[str, str]:
        """What this browser would send to the hub's pages, as anybody who copied it could."""
        return {c["name"]: c["value"] for c in page.context.cookies(f"{self.url}/hub/")}

    def api(self, page: Page, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask the hub's REST API as the person who is logged in here, with the cookies that a page would send."""
        cookies = self.cookies(page)
        return self.request(method, f"hub/api/{path}", json=body, cookies=cookies)

    def request(
        self,
        method: str,
        path: str,
        *,
        cookies: dict[str, str] | None = None,
        extra_headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> httpx.Response:
        """A request to the hub without a browser, redirects not followed."""
        sent = cookies or {}
        headers = {
            "X-XSRFToken": sent.get("_xsrf", ""),
            "Referer": f"{self.url}/hub/home",
            **(extra_headers or {}),
        }
        with httpx.Client(
            verify=ssl.create_default_context(cafile=str(self.ca_file)), trust_env=False, timeout=30
        ) as client:
            client.cookies.update(sent)
            return client.request(method, f"{self.url}/{path}", headers=headers, **arguments)

    def notebook_pods(self) -> list[Any]:
        """The users' pods, as the API server has them."""
        core = client.CoreV1Api(api_client())
        selector = "component=singleuser-server"
        pods: list[Any] = core.list_namespaced_pod(self.tenant.namespace, label_selector=selector).items
        return pods

    def pod(self, component: str) -> str:
        """Name of the ready pod of `hub` or `proxy`; "" while there is none."""
        core = client.CoreV1Api(api_client())
        pods = core.list_namespaced_pod(
            self.tenant.namespace, label_selector=f"app=jupyterhub,component={component}"
        ).items
        for pod in pods:
            ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())
            if ready and not pod.metadata.deletion_timestamp:
                return str(pod.metadata.name)
        return ""

    def exec(self, pod: str, *command: str) -> str:
        """Run a command in a notebook's container; its output."""
        from kubernetes.stream import stream

        core = client.CoreV1Api(api_client())
        output: str = stream(
            core.connect_get_namespaced_pod_exec, pod, self.tenant.namespace, container="notebook",
            command=list(command), stdout=True, stderr=True, stdin=False, tty=False,
        )  # fmt: skip
        return output

    def sync_images(self) -> None:
        """Make thinkube-control read the image manifests: POST /harbor/images/sync with the token, in the cluster."""
        service = client.CoreV1Api(api_client()).read_namespaced_service(
            "backend", self.tenant.control_namespace
        )
        url = f"http://{service.spec.cluster_ip}:8000/api/v1/harbor/images/sync"
        assert httpx.post(url, trust_env=False).status_code == 401
        answer = httpx.post(
            url, headers={"Authorization": f"Bearer {self.control_token}"}, trust_env=False, timeout=30
        )
        assert answer.status_code == 200, answer.text

    def control_request(self, method: str, path: str) -> Any:
        """Ask the tests' thinkube-control through the API server, as an admin outside the cluster would."""
        core = client.CoreV1Api(api_client())
        call = getattr(core, f"connect_{method.lower()}_namespaced_service_proxy_with_path")
        answer = call(
            "backend:8000", self.tenant.control_namespace, path=f"api/v1/{path}", _preload_content=False
        )
        return json.loads(answer.data)
