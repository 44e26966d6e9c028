"""Who gets in: Keycloak's users with their passwords, nobody else."""

from __future__ import annotations

import re
import ssl

import httpx
from playwright.sync_api import Page, expect

from local.credentials import PLAIN_USER
from tests.platform.hub import Hub


def test_wrong_password_does_not_log_in(hub: Hub, page: Page) -> None:
    hub.submit_login(page, PLAIN_USER, "not the password")

    expect(page.locator("#input-error, .kc-feedback-text").first).to_contain_text(
        "Invalid username or password"
    )
    page.goto(f"{hub.url}/hub/home")
    expect(page).to_have_url(re.compile(r"/hub/login"))  # asked to log in again


def test_right_password_leads_to_the_spawn_page(hub: Hub, page: Page) -> None:
    hub.log_in(page, PLAIN_USER)

    expect(page.locator("#login_widget")).to_contain_text(PLAIN_USER)
    hub.open_spawn_page(page)


def test_the_cookies_of_a_login_are_for_tls_only(hub: Hub, page: Page) -> None:
    hub.log_in(page, PLAIN_USER)

    kept = [cookie for cookie in page.context.cookies(f"{hub.url}/hub/") if cookie.get("httpOnly")]
    assert {"jupyterhub-hub-login", "jupyterhub-session-id"} <= {cookie["name"] for cookie in kept}
    assert all(cookie["secure"] for cookie in kept)


def test_api_without_a_login_is_refused(hub: Hub) -> None:
    with httpx.Client(verify=_context(hub), trust_env=False) as client:
        assert client.get(f"{hub.url}/hub/api/users").status_code == 403
        assert client.post(f"{hub.url}/hub/api/users/{PLAIN_USER}/server", json={}).status_code == 403


def test_plain_http_is_sent_to_https(hub: Hub) -> None:
    with httpx.Client(verify=_context(hub), trust_env=False) as client:
        answer = client.get(hub.url.replace("https:", "http:") + "/hub/login")

    assert answer.is_redirect
    assert answer.headers["location"].startswith(hub.url)


def _context(hub: Hub) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(hub.ca_file))
