"""`python -m admin review` on real previews of the deployed stack: copies of the program change, nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import credentials as credential_store
from local.engine import Stack
from local.paths import REPO
from tests.platform.program import copy_program

PREFIX = "thinkube-jupyterhub:"
Review = Callable[..., tuple[int, str]]


@pytest.fixture
def review(hub_stack: Stack, tmp_path: Path) -> Review:
    """``review(edit, configure)``: exit code and report of a preview of the program and configuration as changed."""

    def run(
        edit: Callable[[Path], None] | None = None, configure: Callable[[dict[str, Any]], None] | None = None
    ) -> tuple[int, str]:
        program = copy_program(tmp_path / "program")
        content = yaml.safe_load(hub_stack.config_file.read_text())
        if edit:
            edit(program)
        if configure:
            configure(content["config"])
        config_file = tmp_path / hub_stack.config_file.name
        config_file.write_text(yaml.safe_dump(content))
        done = subprocess.run(
            [sys.executable, "-m", "admin", "review", "--stack", hub_stack.name, "--program", str(program)],
            cwd=REPO,
            env={**os.environ, **hub_stack.command_env, "PULUMI_OPTION_CONFIG_FILE": str(config_file)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        credentials = credential_store.load()
        for secret in (
            credentials.harbor_robot,
            credentials.keycloak_admin,
            credentials.control_token,
            credentials.pulumi_passphrase,
        ):
            assert secret not in done.stdout + done.stderr
        assert "PRIVATE KEY" not in done.stdout
        return done.returncode, done.stdout or done.stderr

    return run


def append(file: str, text: str) -> Callable[[Path], None]:
    def edit(program: Path) -> None:
        path = program / file
        path.write_text(path.read_text() + text)

    return edit


def test_nothing_changes(review: Review) -> None:
    code, text = review()
    assert code == 0, text
    assert text.splitlines()[2].endswith(": nothing changes")


def test_profile_code_restarts_the_hub(review: Review) -> None:
    code, text = review(append("notebooks-profile/thinkube_profiles/rules.py", "\n# reviewed\n"))
    assert code == 0, text
    assert "2 changes (1 updated, 1 replaced): the hub restarts" in text
    assert "**Hub restart**, caused by profile code (<code>rules.py</code>)" in text
    assert "+     # reviewed" in text


def test_an_image_is_built_and_the_hub_stays(review: Review) -> None:
    code, text = review(append("dockerfiles/tk-jupyter-scipy/Dockerfile", 'LABEL reviewed="yes"\n'))
    assert code == 0, text
    assert "1 image built" in text.splitlines()[2]
    assert "**Image <code>tk-jupyter-scipy</code> is built and pushed** (files of its folder changed" in text
    assert "New default image at the next start" in text
    assert "Hub restart" not in text


def test_configuration_of_the_chart_groups_and_volumes(review: Review) -> None:
    def configure(config: dict[str, Any]) -> None:
        config[f"{PREFIX}hub"]["cullTimeoutSeconds"] = 1800
        config[f"{PREFIX}identity"].setdefault("groups", []).append("artists")
        # one claim for both: the stack's own one leaves it
        config[f"{PREFIX}storage"]["volumes"]["models"] = {"existingClaim": "jupyter-datasets-pvc"}

    code, text = review(configure=configure)
    assert code == 0, text
    assert "<code>cull.timeout</code> <code>7200</code> → <code>1800</code>" in text
    assert "New Keycloak group <code>artists</code>" in text
    assert "**Mounts of notebooks change**" in text
    assert "**Kept** in the cluster" in text
    assert "claim <code>jupyter-models-pvc</code>" in text
    assert "DATA LOSS" not in text


def test_wrong_configuration_is_a_failed_review(review: Review) -> None:
    code, text = review(configure=lambda config: config.update({f"{PREFIX}domain": "x"}))
    assert code == 1
    assert "the update would fail" in text.splitlines()[2]
    assert "did you mean domain_name?" in text
