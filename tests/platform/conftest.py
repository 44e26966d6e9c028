"""JupyterHub deployed by the program on the embedded platform, and a real browser that trusts its CA."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from local import credentials as credential_store
from local import platform as parts
from local import seaweed, stack
from local.engine import Stack
from tests.conftest import KEEP, Platform
from tests.platform.hub import Hub

expect.set_options(timeout=15_000)  # two cores do all of it at once

_CHROMIUM_FLAGS = [
    "--no-sandbox",  # root has no sandbox in Chromium
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # nothing but the page itself may be asked for
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def hub_stack(platform: Platform, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The test stack after its first `pulumi up`; destroyed at the end."""
    credentials = credential_store.load()
    test_stack = stack.open_stack(parts.TEST, credentials)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\npulumi up, stack test:")
        stack.configure(test_stack, parts.TEST, credentials, platform.built)
        summary = stack.deploy(test_stack, parts.TEST)
        print(f"  {summary.counts} in {summary.seconds:.1f} s")
    yield test_stack
    if not KEEP:
        test_stack.destroy()


@pytest.fixture(scope="session")
def hub(hub_stack: Stack, platform: Platform, browser: Browser) -> Hub:
    """The deployed hub: its URL, the users and what tests ask the cluster; no server runs and no file is there."""
    deployed = Hub(
        url=hub_stack.outputs()["url"],
        tenant=parts.TEST,
        users=platform.users,
        volume=seaweed.folder(parts.TEST.stack) / "notebooks",
        ca_file=platform.ca_file,
        control_token=platform.control_token,
    )
    deployed.sync_images()  # on a platform that was kept, it may have started anew and know none
    stop_servers(deployed, browser)
    for user in platform.users:  # of an earlier run on a platform that was kept
        shutil.rmtree(deployed.volume / user, ignore_errors=True)
    return deployed


def stop_servers(hub: Hub, browser: Browser) -> None:
    """Stop the users' servers, each as its user."""
    for user in hub.users if hub.notebook_pods() else ():
        with browser.new_context() as context:
            page = context.new_page()
            hub.log_in(page, user)
            hub.stop(page)


@pytest.fixture(scope="session")
def browser(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium with a home of its own, whose certificate store trusts the platform's CA."""
    home = tmp_path_factory.mktemp("browser-home")
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for arguments in (
        ["-N", "--empty-password"],
        ["-A", "-t", "C,,", "-n", "thinkube", "-i", str(platform.ca_file)],
    ):
        subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, capture_output=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=_CHROMIUM_FLAGS, env={**os.environ, "HOME": str(home)}
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """A page of a fresh browser profile; a failed test leaves a picture of it."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(30_000)
    current = context.new_page()
    yield current
    current.screenshot(path=str(tmp_path / "last.png"))
    context.close()


@pytest.fixture
def second_page(browser: Browser) -> Iterator[Page]:
    """Another person's browser."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()
