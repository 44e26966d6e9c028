"""Notebook images as they were pushed: each passes the test that lies in its folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local.engine import Stack
from local.images import docker_cli
from tests.conftest import Platform

FOLDERS = sorted((Path(__file__).parents[2] / "dockerfiles").glob("*/test_image.py"))


@pytest.mark.parametrize("test", FOLDERS, ids=lambda path: path.parent.name)
def test_the_image_keeps_its_promises(test: Path, hub_stack: Stack, platform: Platform) -> None:
    reference = hub_stack.outputs()["images"][test.parent.name].partition("@")[0]
    command = [docker_cli(), "-H", platform.docker_host, "run", "--rm", "--interactive", "--network=none"]
    # as the hub starts it: no capability, no way to more rights
    command += ["--cap-drop=ALL", "--security-opt=no-new-privileges", reference, "python", "-"]
    with test.open("rb") as source:
        done = subprocess.run(command, stdin=source, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr
    assert "OK" in done.stderr.splitlines()[-1]
