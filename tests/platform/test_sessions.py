"""Logout, names, groups and rights as they change in the real Keycloak, seen in the hub and by every bypass."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from local import credentials as credential_store
from local import keycloak
from local.credentials import PLAIN_USER
from tests.platform.hub import Hub
from tests.platform.people import Administrator, Person, administrator, wait_until

NUMBERS = itertools.count()
CHOICE = {"profile": "cpu-basic", "image": "tk-jupyter-scipy"}


@pytest.fixture(scope="module")
def admin(hub: Hub, browser: Browser) -> Iterator[Administrator]:
    """The hub's administrator, logged in beside the tests' own browser."""
    with browser.new_context() as context:
        yield administrator(hub, context.new_page())


@pytest.fixture
def person(hub: Hub, admin: Administrator) -> Iterator[Person]:
    """Somebody new in the realm, whom the hub does not know yet; gone from both afterwards."""
    made = Person(f"cleo{next(NUMBERS)}", keycloak.admin(credential_store.load(), hub.tenant.realm))
    if left := made.realm.get_user_id(made.name):  # by a run that was killed
        made.realm.delete_user(left)
    admin.ask("DELETE", f"users/{made.name}")
    made.make()
    yield made
    if left := made.realm.get_user_id(made.name):
        made.realm.delete_user(left)
    admin.ask("DELETE", f"users/{made.name}/server")
    wait_until(
        lambda: admin.ask("DELETE", f"users/{made.name}").status_code in (204, 404), "the user is deleted"
    )


def log_in(hub: Hub, page: Page, person: Person) -> None:
    hub.submit_login(page, person.name, person.password)
    expect(page).to_have_url(f"{hub.url}/hub/home")


def test_logout_ends_the_hubs_session_and_keycloaks(hub: Hub, page: Page) -> None:
    hub.log_in(page, PLAIN_USER)
    copied = hub.cookies(page)
    assert hub.request("GET", "hub/home", cookies=copied).status_code == 200

    page.locator("#logout").click()

    expect(page).to_have_url(f"{hub.url}/hub/login")  # Keycloak asked nothing on the way
    page.goto(f"{hub.url}/hub/home")
    expect(page).to_have_url(re.compile(r"/hub/login"))
    hub.open_login_form(page)  # a session at Keycloak would go straight back to the hub
    # a copy of the browser's cookies is worth nothing either
    assert hub.request("GET", "hub/home", cookies=copied).is_redirect
    assert hub.request("GET", "hub/api/user", cookies=copied).status_code == 403


def test_a_name_stays_with_its_account_until_the_administrator_releases_it(
    hub: Hub, page: Page, second_page: Page, admin: Administrator, person: Person
) -> None:
    log_in(hub, page, person)
    person.remake()

    hub.submit_login(second_page, person.name, person.password)
    expect(second_page.locator("body")).to_contain_text(f"{person.name} belongs to another account")
    assert second_page.goto(f"{hub.url}/hub/home")
    expect(second_page).to_have_url(re.compile(r"/hub/login"))
    refused = admin.ask("POST", f"users/{person.name}/server", CHOICE)
    assert refused.status_code == 403, refused.text
    assert "log out and log in again" in refused.json()["message"]

    # the page's remedy, done by the administrator
    assert admin.ask("DELETE", f"users/{person.name}").status_code == 204
    second_page.get_by_role("button", name="Sign in with Keycloak").click()
    expect(second_page).to_have_url(re.compile(r"/hub/(home|spawn)"))
    page.goto(f"{hub.url}/hub/home")  # the former owner's browser is out
    expect(page).to_have_url(re.compile(r"/hub/login"))


def test_a_group_that_is_taken_away_is_gone_at_the_next_start(
    hub: Hub, page: Page, admin: Administrator, person: Person
) -> None:
    group = str(person.realm.create_group({"name": f"team-of-{person.name}"}))
    try:
        person.realm.group_user_add(person.id, group)
        log_in(hub, page, person)
        assert len(admin.known(person.name)["groups"]) == 1

        person.realm.group_user_remove(person.id, group)
        # refused for its own reason, after the groups were asked for
        admin.ask("POST", f"users/{person.name}/server", {"profile": "none", "image": "none"})
        assert admin.known(person.name)["groups"] == []
    finally:
        person.realm.delete_group(group)


def test_an_account_that_is_disabled_starts_nothing(
    hub: Hub, page: Page, admin: Administrator, person: Person
) -> None:
    log_in(hub, page, person)
    hub.open_spawn_page(page)
    person.realm.update_user(person.id, {"enabled": False})

    page.get_by_test_id("size-cpu-basic").get_by_role("radio").check()
    page.get_by_test_id("image-tk-jupyter-scipy").get_by_role("radio").check()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".spawn-error-msg")).to_contain_text("log out and log in again")
    refused = admin.ask("POST", f"users/{person.name}/server", CHOICE)
    assert refused.status_code == 403, refused.text
    assert not [pod for pod in hub.notebook_pods() if person.name in pod.metadata.name]


def test_an_expired_access_token_is_renewed_unseen(
    hub: Hub, page: Page, admin: Administrator, person: Person
) -> None:
    person.realm.update_realm(hub.tenant.realm, {"accessTokenLifespan": 2})
    try:
        log_in(hub, page, person)
        page.wait_for_timeout(3_000)
        # the verdict on the options is reached only with a login that Keycloak confirms
        answer = hub.api(page, "POST", f"users/{person.name}/server", {"profile": "none", "image": "none"})
        assert answer.status_code in (202, 400), answer.text
    finally:
        person.realm.update_realm(hub.tenant.realm, {"accessTokenLifespan": 300})


def test_nobody_becomes_the_user_of_make_verify(hub: Hub, page: Page, admin: Administrator) -> None:
    thief = Person("thinkube-verify", keycloak.admin(credential_store.load(), hub.tenant.realm))
    if left := thief.realm.get_user_id(thief.name):
        thief.realm.delete_user(left)
    thief.make()
    try:
        hub.submit_login(page, thief.name, thief.password)
        expect(page.locator("body")).to_contain_text("nobody can log in under it")
        page.goto(f"{hub.url}/hub/home")
        expect(page).to_have_url(re.compile(r"/hub/login"))
    finally:
        thief.realm.delete_user(thief.id)
