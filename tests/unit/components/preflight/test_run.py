"""All checks at once, all that is missing at once, and nothing that hangs holds the program."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import preflight as package
from components.preflight.missing import Check, Missing
from components.preflight.run import run_checks
from components.preflight.web import Deadline
from components.settings.models import Settings
from tests.unit.components.conftest import MINIMAL, SECRETS, Program
from tests.unit.components.recorder import DIGEST

A = Missing("Keycloak", "it is away", "GET https://auth", "start it")
B = Missing("Registry", "it is away", "", "start it")


def check(*faults: Missing) -> Check:
    return Check("X", "tried", "a.key", lambda deadline: list(faults))


def test_nothing_is_missing() -> None:
    run_checks([check(), check()])


def test_everything_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(pulumi.RunError) as error:
        run_checks([check(A), check(), check(B)])
    assert str(error.value) == (
        "2 dependencies are missing, nothing was touched\n"
        "  - Keycloak: it is away (tried GET https://auth); start it\n"
        "  - Registry: it is away; start it\n"
        "Without these checks, for a review without a cluster: `pulumi config set preflight false`."
    )


def test_checks_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=5)

    def look(deadline: Deadline) -> list[Missing]:
        meeting.wait()
        return []

    run_checks([Check("X", "", "", look)] * 3)


def test_what_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.preflight.run.GRACE", 0.1)
    forever = threading.Event()

    def look(deadline: Deadline) -> list[Missing]:
        forever.wait(60)
        return []

    started = time.monotonic()
    with pytest.raises(
        pulumi.RunError, match=re.escape("X: no answer within 0 s (tried y); see that")
    ) as error:
        run_checks([Check("X", "y", "a.key", look), check(A)], seconds=0.2)
    assert time.monotonic() - started < 3
    assert "config key a.key" in str(error.value)
    assert "Keycloak: it is away" in str(error.value)
    forever.set()


def test_a_plugin_s_own_time_moves_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.preflight.run.GRACE", 0.1)

    def look(deadline: Deadline) -> list[Missing]:
        deadline.restart(30)
        time.sleep(0.6)
        return [A]

    with pytest.raises(pulumi.RunError, match="Keycloak: it is away"):
        run_checks([Check("X", "", "", look)], seconds=0.2)


def test_a_fault_of_our_own_is_not_hidden() -> None:
    def look(deadline: Deadline) -> list[Missing]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_checks([Check("X", "", "", look)])


class TestWhichChecks:
    """A stack's settings say what is looked for."""

    @pytest.fixture
    def services(self, monkeypatch: pytest.MonkeyPatch, program: Program) -> Any:
        """services(config): the services that the program looks for with these settings."""

        def look(config: dict[str, Any]) -> list[str]:
            found: list[list[Check]] = []
            monkeypatch.setattr(package, "run_checks", lambda checks: found.append(list(checks)))
            program({"preflight": "true", **config})
            return sorted(check.service for check in found[0])

        monkeypatch.delenv("DOCKER_HOST", raising=False)
        return look

    def test_by_default(self, services: Any) -> None:
        everything = [
            *("Docker", "Examples repository", "JupyterHub chart", "Keycloak", "Kubernetes API", "Registry")
        ]
        assert services({}) == everything
        assert services({"control": {"url": "https://control.example.org"}}) == [
            *everything,
            "thinkube-control",
        ]
        assert services({"docker:host": "ssh://builder"}) == everything[1:]
        assert "Examples repository" not in services({"examples": {"repositories": []}})

    def test_images_that_were_built_elsewhere(self, services: Any) -> None:
        def prebuilt(host: str) -> dict[str, Any]:
            reference = f"{host}/library/tk-jupyter-scipy:1@{DIGEST}"
            return {"images": {"mode": "prebuilt", "prebuilt": {"tk-jupyter-scipy": reference}}}

        assert "Registry" in services(prebuilt("harbor.example.org"))
        assert "Docker" not in services(prebuilt("harbor.example.org"))
        assert "Registry" not in services(prebuilt("quay.io"))

    def test_none_without_preflight(self, services: Any) -> None:
        assert services({"preflight": "false"}) == ["JupyterHub chart"]


def test_nothing_is_made_when_something_is_missing(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "_checks", lambda settings, config: [check(A)])
    made: list[str] = []
    monkeypatch.setattr("components.cluster.connect", made.append)  # what the program makes first
    with pytest.raises(pulumi.RunError, match="Keycloak: it is away"):
        program({"preflight": "true"})
    assert made == []


def test_secrets_reach_the_logins(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(package, "Keycloak", lambda **args: seen.append(args["password"]))
    monkeypatch.setattr(package, "Registry", lambda **args: seen.append(args["password"]))
    monkeypatch.setattr(package, "keycloak_check", lambda args: check())
    monkeypatch.setattr(package, "registry_check", lambda args: check())
    monkeypatch.setattr(package, "run_checks", lambda checks: None)
    program({"preflight": "true"})
    assert seen == [SECRETS["keycloak_admin_password"], SECRETS["harbor_robot_token"]]


@pytest.mark.parametrize("preflight", [True, False])
def test_a_chart_that_is_not_there(tmp_path: Path, preflight: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "_checks", lambda settings, config: [package._chart(settings.hub.chart)])

    def look(path: str) -> None:
        hub = {**MINIMAL["hub"], "chart": {"path": path}}
        settings = Settings.model_validate({**MINIMAL, "hub": hub, "preflight": preflight})
        package.preflight(settings, pulumi.Config("x"))

    (tmp_path / "Chart.yaml").write_text("name: jupyterhub")
    look(str(tmp_path))
    look(str(tmp_path / "Chart.yaml"))  # a file is taken for a tarball
    with pytest.raises(pulumi.RunError, match="JupyterHub chart: /nowhere is no tarball and no folder"):
        look("/nowhere")
