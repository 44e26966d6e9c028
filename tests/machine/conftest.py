"""A platform of the tests' own beside the user's, driven by the commands that people type."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from local.instance import Instance
from tests.conftest import fit
from tests.machine.box import Box

NUMBER = int(os.environ.get("THINKUBE_TEST_INSTANCE", "2"))


@pytest.fixture(scope="session")
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    """The second platform, gone at the start (with its data) and gone at the end; progress goes to the terminal."""
    fit()
    own = Box(Instance(NUMBER), echo=request.config.pluginmanager.getplugin("capturemanager"))
    own.make("down", "DATA=delete")
    own.before = own.machine()
    yield own
    own.make("down", "DATA=delete")
