"""What a red run prints with REQUIRE_PLATFORM=1: skips as failures, tails of the logs, pytest's closing line last."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]

# The platform is gone, with its logs, before the summary is printed.
SUITE = """
import pytest
from tests import conftest as rules

@pytest.fixture(scope="session")
def platform(request, tmp_path_factory):
    logs = tmp_path_factory.mktemp("logs")
    (logs / "kubelet.log").write_text("the node has no disk\\n")
    yield
    request.config.stash[rules.LOG_TAILS] = rules.log_tails(logs)
    (logs / "kubelet.log").unlink()

def test_red(platform):
    assert False

def test_skipped():
    pytest.skip("no root")
"""


@pytest.fixture
def run(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """A small suite under this repository's tests/conftest.py, in a process of its own."""
    folder = tmp_path / "tests" / "platform"
    folder.mkdir(parents=True)
    shutil.copy(REPO / "tests" / "conftest.py", tmp_path / "tests")
    for package in (tmp_path / "tests", folder):
        (package / "__init__.py").touch()
    (folder / "test_small.py").write_text(SUITE)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = "-ra --import-mode=importlib"\npythonpath = ["."]\n'
        'markers = ["engine", "platform"]\n'
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path,
        env={**os.environ, "REQUIRE_PLATFORM": "1", "PYTHONPATH": f"{tmp_path}:{REPO}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_tails_are_printed_and_the_closing_line_is_last(run: subprocess.CompletedProcess[str]) -> None:
    lines = run.stdout.splitlines()

    assert run.returncode == 1
    assert "  | the node has no disk" in lines
    assert "REQUIRE_PLATFORM=1 allows no skip of a platform test" in run.stdout
    assert lines[-1].strip("=").strip().startswith("2 failed in ")
