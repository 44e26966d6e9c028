"""The program against the platform: a second run is quiet, wrong settings change nothing."""

from __future__ import annotations

from local.engine import Stack


def test_a_second_up_has_nothing_to_change(hub_stack: Stack) -> None:
    summary = hub_stack.up()

    assert summary.changes == {}
    assert summary.counts["same"] > 20


def test_a_refresh_after_it_finds_no_drift(hub_stack: Stack) -> None:
    assert hub_stack.refresh().changes == {}
    assert hub_stack.preview().changes == {}


def test_no_secret_is_in_the_state_in_clear(hub_stack: Stack) -> None:
    from local import credentials as credential_store

    stored = str(hub_stack.export())
    credentials = credential_store.load()
    for secret in (credentials.harbor_robot, credentials.keycloak_admin, credentials.control_token):
        assert secret not in stored
