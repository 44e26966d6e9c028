"""Fixtures of the component tests: the whole program under mocks, in a checkout of its own making."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.components.recorder import Recorder, run, stack_config

ROOT = Path(__file__).parents[3]
SECRETS = {"harbor_robot_token": "robot-password", "keycloak_admin_password": "admin-password"}
MINIMAL: dict[str, Any] = {
    "domain_name": "example.org",
    "admin_username": "ada",
    "hub": {"tls": {"clusterIssuer": "letsencrypt"}},
    "preflight": "false",  # no service is there
}

Program = Callable[..., Recorder]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    """Run `__main__.py` with the minimal stack and what the caller adds: program(config, secrets)."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("PULUMI_CONFIG", raising=False)
    for variable in ("HARBOR_ROBOT_TOKEN", "KEYCLOAK_ADMIN_PASSWORD"):
        monkeypatch.delenv(variable, raising=False)

    def start(config: dict[str, Any] | None = None, secrets: dict[str, str] | None = None) -> Recorder:
        values = {**MINIMAL, **(config or {})}
        full, keys = stack_config(values, SECRETS if secrets is None else secrets)
        return run(lambda: runpy.run_path(str(ROOT / "__main__.py")), full, keys)

    return start
