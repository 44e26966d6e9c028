"""Wrong configuration fails in `pulumi preview`, with the key and the remedy, before any provider is asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from local.engine import PROVIDERS, EngineError, Stack
from tests.engine import apiserver

REPO = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "domain_name": "example.org",
    "admin_username": "ada",
    "hub": {"tls": {"secretName": "hub-tls"}},
}
SECRETS = {"harbor_robot_token": "x", "keycloak_admin_password": "y"}


@pytest.mark.parametrize(
    ("changes", "secrets", "sentences"),
    [
        ({"domain": "example.org"}, SECRETS, ["domain", "domain_name"]),
        ({"domain_name": "not a domain"}, SECRETS, ["domain_name", "not a domain"]),
        (
            {"storage": {"volumes": {"notebooks": {"size": "-5Gi"}}}},
            SECRETS,
            ["storage.volumes.notebooks.size"],
        ),
        ({"hub": {"colour": "blue", **GOOD["hub"]}}, SECRETS, ["hub.colour"]),
        ({}, {"harbor_robot_token": "x"}, ["keycloak_admin_password", "KEYCLOAK_ADMIN_PASSWORD", "--secret"]),
    ],
    ids=["unknown key", "bad domain", "negative size", "unknown key in an object", "missing secret"],
)
def test_preview_names_the_key_and_the_remedy(
    changes: dict[str, Any],
    secrets: dict[str, str],
    sentences: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("HARBOR_ROBOT_TOKEN", "KEYCLOAK_ADMIN_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)
    stack = Stack(
        REPO,
        "refused",
        folder=tmp_path,
        passphrase="engine-tests",
        path=[apiserver.binaries(), Path(sys.executable).parent, PROVIDERS],
        env={"THINKUBE_PYTHON": sys.executable, "KUBECONFIG": str(tmp_path / "none")},
    )
    stack.set_config({**GOOD, **changes}, secrets)

    with pytest.raises(EngineError) as refusal:
        stack.preview()
    text = str(refusal.value)
    for sentence in sentences:
        assert sentence in text
    assert "Traceback" not in text
