"""Who is an admin: the members of one group, and not of another that is called like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from keycloak import KeycloakAdmin
from playwright.sync_api import Browser

from local import credentials as credential_store
from local import keycloak
from local.credentials import PLAIN_USER
from local.platform import TEST
from tests.platform.hub import Hub


@pytest.fixture
def realm(hub: Hub, browser: Browser) -> Iterator[KeycloakAdmin]:
    """The tests' realm with a group below another one, called like the admins'; both go after the test."""
    realm = keycloak.admin(credential_store.load(), TEST.realm)
    team = realm.create_group({"name": "team"})
    realm.create_group({"name": "jupyter_admin"}, parent=team)
    yield realm
    for path in ("/jupyter_admin", "/team/jupyter_admin"):
        realm.group_user_remove(_user(realm), realm.get_group_by_path(path)["id"])
    assert team
    realm.delete_group(team)
    assert _seen(hub, browser)["admin"] is False  # as it was, also for the hub


def test_a_group_of_the_admins_name_below_another_one_makes_no_admin(
    hub: Hub, browser: Browser, realm: KeycloakAdmin
) -> None:
    realm.group_user_add(_user(realm), realm.get_group_by_path("/team/jupyter_admin")["id"])
    seen = _seen(hub, browser)
    assert (seen["groups"], seen["admin"]) == (["/team/jupyter_admin"], False)

    realm.group_user_add(_user(realm), realm.get_group_by_path("/jupyter_admin")["id"])
    seen = _seen(hub, browser)
    assert (sorted(seen["groups"]), seen["admin"]) == (["/jupyter_admin", "/team/jupyter_admin"], True)


def _user(realm: KeycloakAdmin) -> str:
    key = realm.get_user_id(PLAIN_USER)
    assert key
    return key


def _seen(hub: Hub, browser: Browser) -> dict[str, Any]:
    """The user as the hub knows it after a fresh login."""
    with browser.new_context() as context:
        page = context.new_page()
        hub.log_in(page, PLAIN_USER)
        known: dict[str, Any] = hub.api(page, "GET", "user").json()
        return known
