"""Login, refresh and logout in a whole JupyterHub process against a Keycloak of a few lines.

Each test has accounts of its own; the hub asks Keycloak anew on each page (`auth_refresh_age` of a second).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.unit.hub.live import KEYCLOAK, Account, Hub, World, until

NUMBERS = itertools.count()
GOOD = json.dumps({"profile": "basic", "image": "team-r"}).encode()


@pytest.fixture(scope="module")
def world(everything: dict[str, Callable[[], Any]]) -> Iterator[World]:
    served = World(everything["images"](), everything["resources"](), everything["manifest"]())
    yield served
    served.close()


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, world: World, everything: dict[str, Callable[[], Any]]
) -> Iterator[Hub]:
    values = everything["values"]() | {"verifyUser": "thinkube-verify"}
    running = Hub(tmp_path_factory.mktemp("hub"), world, values, KEYCLOAK, refresh_age=1)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def keycloak_answers(world: World) -> Iterator[None]:
    yield
    world.keycloak.fault = None
    world.pods.clear()


@pytest.fixture
def account(world: World) -> Account:
    """An account that nobody else has."""
    name = f"user{next(NUMBERS)}"
    return world.keycloak.accounts.setdefault(name, Account(f"sub-of-{name}", name))


@pytest.fixture
def browser(hub: Hub, account: Account) -> httpx.Client:
    """Somebody who is logged in as `account`."""
    client = hub.visitor()
    assert hub.log_in(client, account.name).status_code == 302
    return client


def put_out(client: httpx.Client) -> bool:
    """Whether the hub asks this client to log in."""
    return client.get("home").status_code == 302


def message(answer: httpx.Response) -> str:
    return str(answer.json()["message"])


class TestStart:
    def test_with_a_login_it_starts(self, hub: Hub, world: World, account: Account, browser: Any) -> None:
        assert hub.api.post(f"users/{account.name}/server", content=GOOD).status_code == 202
        until(lambda: bool(world.pods), 5)

    def test_without_any_login_it_is_refused(self, hub: Hub, world: World) -> None:
        hub.api.post("users/stranger")
        refused = hub.api.post("users/stranger/server", content=GOOD)
        assert refused.status_code == 403
        assert "log in" in message(refused)
        assert world.pods == []

    def test_the_verify_user_needs_none(self, hub: Hub, world: World) -> None:
        hub.api.post("users/thinkube-verify")
        assert hub.api.post("users/thinkube-verify/server", content=GOOD).status_code == 202
        until(lambda: bool(world.pods), 5)

    def test_after_a_session_ended_it_is_refused(
        self, hub: Hub, world: World, account: Account, browser: Any
    ) -> None:
        account.access_token = account.refresh_token = "ended"
        refused = hub.api.post(f"users/{account.name}/server", content=GOOD)
        assert refused.status_code == 403
        assert "log out and log in again" in message(refused)
        until(lambda: put_out(browser), 5)
        assert world.pods == []

    def test_a_server_whose_users_session_ended_still_reports_that_it_works(
        self, hub: Hub, account: Account, browser: Any
    ) -> None:
        browser.get("home")
        made = browser.post(
            f"api/users/{account.name}/tokens",
            json={"note": "server"},
            headers={"X-XSRFToken": browser.cookies["_xsrf"], "Referer": f"{hub.url}home"},
        )
        assert made.status_code == 201, made.text
        token = made.json()["token"]
        server = hub.visitor()
        server.headers["Authorization"] = f"token {token}"
        account.access_token = account.refresh_token = "ended"
        until(lambda: server.get("api/user").status_code == 403, 5)
        for _ in range(2):
            report = server.post(
                f"api/users/{account.name}/activity", json={"last_activity": datetime.now(UTC).isoformat()}
            )
            assert report.status_code == 200, report.text
            # and that opens nothing else
            assert server.get("api/user").status_code == 403
            assert put_out(browser)

    def test_an_expired_access_token_is_renewed(self, hub: Hub, account: Account, browser: Any) -> None:
        account.access_token = "expired"
        until(lambda: browser.get("home").status_code == 200 and account.access_token != "expired", 5)


class TestNames:
    @pytest.mark.parametrize("name", ["thinkube-verify", "Thinkube-Verify"])
    def test_nobody_logs_in_as_the_verify_user(self, hub: Hub, world: World, name: str) -> None:
        world.keycloak.accounts["thief"] = Account("sub-of-thief", name, ["team", "admins"])
        client = hub.visitor()
        refused = hub.log_in(client, "thief")
        assert refused.status_code == 403
        assert "make verify" in refused.text
        assert put_out(client)

    def test_another_account_under_a_known_name_is_refused(
        self, hub: Hub, world: World, account: Account, browser: Any
    ) -> None:
        del world.keycloak.accounts[account.name]
        heir = world.keycloak.accounts["heir"] = Account("sub-of-heir", account.name)
        client = hub.visitor()
        refused = hub.log_in(client, "heir")
        assert refused.status_code == 403
        assert "belongs to another account" in refused.text
        assert 'href="/hub/logout"' in refused.text
        assert put_out(client)
        # nor do the refused login's tokens serve a start by another road
        assert hub.api.post(f"users/{account.name}/server", content=GOOD).status_code == 403

        hub.api.delete(f"users/{account.name}")
        assert hub.log_in(client, "heir").status_code == 302
        assert client.get("home").status_code == 200
        assert hub.api.post(f"users/{heir.name}/server", content=GOOD).status_code == 202

    def test_the_same_account_comes_back(self, hub: Hub, account: Account, browser: Any) -> None:
        assert hub.log_in(hub.visitor(), account.name).status_code == 302

    def test_a_renamed_account_must_log_in_again(self, hub: Hub, account: Account, browser: Any) -> None:
        old, account.name = account.name, "renamed"
        refused = hub.api.post(f"users/{old}/server", content=GOOD)
        assert refused.status_code == 403
        assert "is called renamed in Keycloak now" in message(refused)
        until(lambda: put_out(browser), 5)


class TestGroups:
    def test_they_follow_keycloak(self, hub: Hub, account: Account, browser: Any) -> None:
        def known() -> tuple[object, object]:
            browser.get("home")
            model = hub.api.get(f"users/{account.name}").json()
            return sorted(model["groups"]), model["admin"]

        account.groups = ["team", "admins"]
        until(lambda: known() == (["admins", "team"], True), 5)
        account.groups = ["team"]
        until(lambda: known() == (["team"], False), 5)

    def test_out_of_the_last_allowed_group_means_out(
        self, hub: Hub, world: World, account: Account, browser: Any
    ) -> None:
        account.groups = ["others"]
        refused = hub.api.post(f"users/{account.name}/server", content=GOOD)
        assert refused.status_code == 403
        assert "none of the groups" in message(refused)
        until(lambda: put_out(browser), 5)
        assert hub.log_in(browser, account.name).status_code == 403
        assert world.pods == []


class TestKeycloakAway:
    """No answer, an ingress without a backend, one without a route, one with a page of its own."""

    @pytest.mark.parametrize("fault", [0, 502, 404, 200])
    def test_pages_stay_and_starts_are_refused(
        self, hub: Hub, world: World, account: Account, browser: Any, fault: int
    ) -> None:
        world.keycloak.fault = fault
        assert browser.get("home").status_code == 200
        page = browser.get("spawn")
        assert "size-basic" in page.text
        form = {"profile": "basic", "image": "team-r"}
        browser.post("spawn", params={"_xsrf": browser.cookies["_xsrf"]}, data=form)
        until(lambda: not hub.api.get(f"users/{account.name}").json()["pending"], 5)
        refused = hub.api.post(f"users/{account.name}/server", content=GOOD)
        assert refused.status_code == 503
        assert message(refused).startswith("Keycloak does not answer")
        assert world.pods == []

        world.keycloak.fault = None
        assert hub.api.post(f"users/{account.name}/server", content=GOOD).status_code == 202
        until(lambda: bool(world.pods), 5)

    def test_a_login_says_so(self, hub: Hub, world: World) -> None:
        world.keycloak.fault = 502
        answer = hub.visitor().get("oauth_login")
        assert answer.status_code == 503
        assert "Keycloak does not answer" in answer.text


class TestLogout:
    def test_it_goes_on_to_keycloak_and_leaves_dead_cookies(
        self, hub: Hub, account: Account, browser: httpx.Client
    ) -> None:
        copied = dict(browser.cookies)
        answer = browser.get("logout")
        assert answer.status_code == 302
        assert answer.headers["location"].endswith(
            f"/realm/logout?client_id=jupyterhub&id_token_hint=id-{account.sub}"
        )
        assert put_out(browser)
        thief = hub.visitor()
        thief.cookies.update(copied)
        assert put_out(thief)
        assert thief.get(f"api/users/{account.name}").status_code == 403

    def test_it_works_when_keycloaks_session_ended_before(
        self, hub: Hub, account: Account, browser: httpx.Client
    ) -> None:
        copied = dict(browser.cookies)
        account.access_token = account.refresh_token = "ended"
        assert browser.get("logout").status_code == 302
        hub.log_in(hub.visitor(), account.name)  # elsewhere
        thief = hub.visitor()
        thief.cookies.update(copied)
        assert put_out(thief)

    def test_without_keycloak_the_hubs_part_ends_and_the_page_says_so(
        self, hub: Hub, world: World, account: Account, browser: httpx.Client
    ) -> None:
        copied = dict(browser.cookies)
        world.keycloak.fault = 502
        page = browser.get("logout")
        assert page.status_code == 503
        assert "You are logged out of JupyterHub." in page.text
        assert "Keycloak does not answer" in page.text
        thief = hub.visitor()
        thief.cookies.update(copied)
        assert put_out(thief)

    def test_a_stranger_ends_nobodys_session(self, hub: Hub, account: Account, browser: httpx.Client) -> None:
        assert hub.visitor().get("logout").status_code == 302
        assert browser.get("home").status_code == 200
