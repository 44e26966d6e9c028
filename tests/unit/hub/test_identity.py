"""Who may log in under a name, and keep a session: tables of what Keycloak says and what the hub knows."""

from __future__ import annotations

from typing import Any

import pytest
from thinkube_profiles.identity import login_refusal, refresh_refusal, subject

VERIFY = "thinkube-verify"


def state(sub: object) -> dict[str, Any]:
    return {"oauth_user": {"sub": sub, "preferred_username": "zoe"}}


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (state("a"), "a"),
        (state(""), None),
        (state(7), None),
        (state(None), None),
        ({"oauth_user": None}, None),
        ({"oauth_user": ["sub"]}, None),
        ({}, None),
        ("text", None),
        (None, None),
    ],
)
def test_subject_of_a_state_of_any_shape(stored: object, expected: str | None) -> None:
    assert subject(stored) == expected


@pytest.mark.parametrize(
    ("name", "fresh", "stored", "reason"),
    [
        ("zoe", state("a"), state("a"), None),
        ("zoe", state("a"), None, None),  # the first login claims the name
        ("zoe", state("a"), {"oauth_user": {}}, None),
        ("zoe", state("a"), state("b"), "belongs to another account"),
        ("zoe", state(None), state("b"), "did not say which account"),
        ("zoe", {}, None, "did not say which account"),
        (VERIFY, state("a"), None, "nobody can log in under it"),
        (VERIFY, state("a"), state("a"), "nobody can log in under it"),
    ],
)
def test_login(name: str, fresh: dict[str, Any], stored: object, reason: str | None) -> None:
    refusal = login_refusal(name, fresh, stored, VERIFY)
    assert (refusal is None) if reason is None else (refusal and reason in refusal)


def test_without_a_verify_user_no_name_is_kept() -> None:
    assert login_refusal("", state("a"), None, "") is None


def test_the_refusal_tells_the_administrator_how_to_release_the_name() -> None:
    refusal = login_refusal("zoe", state("a"), state("b"), VERIFY)
    assert refusal
    for step in ("stop the servers of zoe", "move the files away", "delete the user"):
        assert step in refusal


@pytest.mark.parametrize(
    ("called", "sub", "reason"),
    [("zoe", "a", None), ("zoe", "b", "another account"), ("zoe-new", "a", "called zoe-new in Keycloak now")],
)
def test_refresh(called: str, sub: str, reason: str | None) -> None:
    refusal = refresh_refusal("zoe", {"name": called, "auth_state": state(sub)}, state("a"), VERIFY)
    assert (refusal is None) if reason is None else (refusal and reason in refusal)
