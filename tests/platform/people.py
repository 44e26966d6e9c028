"""People whom a test makes in the test realm, and what an administrator of hub or realm does to them."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from keycloak import KeycloakAdmin
from playwright.sync_api import Page

from local import credentials as credential_store
from local import keycloak
from local.credentials import ADMIN_USER
from tests.platform.hub import Hub


@dataclass
class Person:
    """One account in the realm; ``remake`` gives its name to another one."""

    name: str
    realm: KeycloakAdmin
    password: str = ""
    id: str = ""

    def make(self) -> None:
        """An account of this name, as the realm's administrator adds one."""
        self.password = secrets.token_urlsafe(12)
        self.id = self.realm.create_user(
            {
                "username": self.name, "enabled": True, "firstName": "C", "lastName": "D", "emailVerified": True,
                "email": f"{self.name}@thinkube.test",
                "credentials": [{"type": "password", "value": self.password, "temporary": False}],
            }
        )  # fmt: skip

    def remake(self) -> None:
        """Delete the account, and make another one of the same name."""
        self.realm.delete_user(self.id)
        self.make()


@dataclass
class Administrator:
    """The hub's administrator, by the REST API and a token of that person."""

    hub: Hub
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask the hub's API; the answer as it came."""
        return self.hub.request(
            method, f"hub/api/{path}", json=body, extra_headers={"Authorization": f"token {self.token}"}
        )

    def known(self, name: str) -> dict[str, Any]:
        """What the hub knows of a user."""
        answer = self.ask("GET", f"users/{name}")
        assert answer.status_code == 200, answer.text
        model: dict[str, Any] = answer.json()
        return model


def administrator(hub: Hub, page: Page) -> Administrator:
    """Log the platform's administrator in on this page, and take a token."""
    hub.log_in(page, ADMIN_USER)
    answer = hub.api(page, "POST", f"users/{ADMIN_USER}/tokens", {"note": "test", "expires_in": 3600})
    assert answer.status_code == 201, answer.text
    return Administrator(hub, answer.json()["token"])


@contextlib.contextmanager
def keycloak_frozen() -> Iterator[None]:
    """Keycloak's processes stopped in their tracks, all connections open: the slowest way of being away."""
    pid = keycloak.daemon(credential_store.load()).pid()
    assert pid, "Keycloak does not run"
    os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGCONT)


def wait_until(holds: Any, what: str, seconds: float = 60) -> None:
    """Ask every second until it holds. Raises AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(1)
