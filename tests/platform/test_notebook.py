"""The data scientist's day: start, run a cell, save, stop, start again; and nobody sees another's files."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from local.credentials import ADMIN_USER, PLAIN_USER
from tests.platform.conftest import stop_servers
from tests.platform.hub import Hub

CELL = """import numpy as np, matplotlib.pyplot as plt
x = np.linspace(0, 12, 400)
plt.plot(x, np.sin(x) * np.exp(-x / 6))
print(6 * 7)"""


@pytest.fixture(scope="module", autouse=True)
def no_server_stays(hub: Hub, browser: Browser) -> Iterator[None]:
    """Stop what these tests started: other tests look at what is free."""
    yield
    stop_servers(hub, browser)


def test_a_saved_file_is_there_after_stop_and_start(hub: Hub, page: Page) -> None:
    hub.log_in(page, ADMIN_USER)
    hub.start(page, ADMIN_USER)
    hub.run_cell(page, ADMIN_USER, CELL, "42")
    expect(page.locator(".jp-OutputArea-output img")).to_be_visible()
    hub.picture(page, "jupyterlab")
    page.keyboard.press("Control+s")
    _accept_name(page)

    saved = hub.volume / ADMIN_USER / "Untitled.ipynb"
    page.wait_for_function("() => !document.title.startsWith('*')")
    _wait_for_output(saved, "42\n")
    assert (saved.stat().st_uid, saved.stat().st_gid) == (1000, 100)

    hub.stop(page)
    assert hub.notebook_pods() == []

    hub.start(page, ADMIN_USER)
    page.goto(f"{hub.url}/user/{ADMIN_USER}/lab/tree/thinkube/notebooks/Untitled.ipynb")
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("42")


def test_a_second_user_sees_neither_the_file_nor_the_folder(hub: Hub, page: Page, second_page: Page) -> None:
    hub.log_in(page, PLAIN_USER)
    hub.start(page, PLAIN_USER)
    shown = (
        hub.server(page, PLAIN_USER)
        .kernel()
        .run(
            "import os; open('own.txt', 'w').write('mine'); print(sorted(os.listdir('.')), os.listdir('..'))"
        )
    )

    assert (hub.volume / PLAIN_USER / "own.txt").read_text() == "mine"
    assert "own.txt" in shown
    assert ADMIN_USER not in shown
    assert "Untitled.ipynb" not in shown
    assert "'notebooks'" in shown
    assert not (hub.volume / ADMIN_USER / "own.txt").exists()
    assert (hub.volume / ADMIN_USER / "Untitled.ipynb").exists()
    # nor through the other's server: a login of one's own opens no door to it
    page.goto(f"{hub.url}/user/{ADMIN_USER}/lab")
    expect(page.locator("body")).not_to_contain_text("Untitled.ipynb")
    assert page.locator(".jp-LabShell").count() == 0


def test_the_pod_has_no_more_rights_than_it_needs(hub: Hub) -> None:
    pod = next(p for p in hub.notebook_pods() if p.metadata.name.endswith(PLAIN_USER))
    context, container = pod.spec.security_context, pod.spec.containers[0]

    assert pod.spec.automount_service_account_token is False
    assert context.run_as_non_root or container.security_context.run_as_non_root
    assert container.security_context.allow_privilege_escalation is False
    assert container.security_context.capabilities.drop == ["ALL"]
    assert "@sha256:" in container.image
    assert hub.exec(pod.metadata.name, "sh", "-c", "id -u; id -g; ls /var/run/secrets 2>&1").split()[:2] == [
        "1000",
        "100",
    ]
    env = hub.exec(pod.metadata.name, "env")
    assert "OAUTH_CLIENT_SECRET" not in env


def _accept_name(page: Page) -> None:
    """JupyterLab asks for a name at the first save of an untitled notebook."""
    button = page.locator(".jp-Dialog button.jp-mod-accept")
    try:
        button.wait_for(timeout=5_000)
    except Exception:
        return
    button.click()


def _wait_for_output(path, text: str) -> None:  # type: ignore[no-untyped-def]
    import time

    deadline = time.monotonic() + 15
    while True:
        if path.exists():
            outputs = [
                "".join(output.get("text", ""))
                for cell in json.loads(path.read_text())["cells"]
                for output in cell.get("outputs", [])
            ]
            if text in outputs:
                return
        assert time.monotonic() < deadline, f"{path} has no output {text!r}"
        time.sleep(0.5)
