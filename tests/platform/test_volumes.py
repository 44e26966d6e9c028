"""What is mounted in a notebook: shared folders, read-only examples, a bounded scratch, the platform's addresses."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from local.addresses import text
from local.credentials import ADMIN_USER, PLAIN_USER
from tests.platform.conftest import stop_servers
from tests.platform.hub import Hub
from tests.platform.server import Kernel

BEYOND = "fallocate -l 1100M ~/scratch/big"  # scratchSize in Pulumi.local.yaml is 1Gi


@pytest.fixture(scope="module")
def kernels(hub: Hub, browser: Browser) -> Iterator[dict[str, Kernel]]:
    """A kernel of each of two users, both in their own servers at once."""
    started = {}
    for user in (ADMIN_USER, PLAIN_USER):
        with browser.new_context() as context:
            context.set_default_timeout(60_000)
            page = context.new_page()
            hub.log_in(page, user)
            hub.start(page, user)
            started[user] = hub.server(page, user).kernel()
    yield started
    stop_servers(hub, browser)


@pytest.mark.parametrize("folder", ["datasets", "models"])
def test_what_one_user_shares_the_other_changes(kernels: dict[str, Kernel], folder: str) -> None:
    path = f"os.path.expanduser('~/thinkube/{folder}/shared.csv')"
    kernels[ADMIN_USER].run(f"import os; open({path}, 'w').write('a,b')")

    seen = kernels[PLAIN_USER].run(
        f"import os; print(open({path}).read(), end=''); open({path}, 'a').write(',c')"
    )

    assert seen == "a,b"
    assert kernels[ADMIN_USER].run(f"print(open({path}).read(), end='')") == "a,b,c"
    kernels[ADMIN_USER].run(f"os.remove({path})")


def test_the_examples_can_be_read_and_not_be_changed(kernels: dict[str, Kernel]) -> None:
    shown = kernels[PLAIN_USER].run(
        """
import pathlib
folder = pathlib.Path("~/thinkube/examples-repo/thinkube-ai-examples").expanduser()
print((folder / "common" / "first-steps.ipynb").is_file())
for change in (lambda: (folder / "mine").touch(), (folder / "README.md").unlink):
    try:
        change()
    except OSError as error:
        print(error.strerror)
"""
    )

    assert shown.splitlines() == ["True", "Read-only file system", "Read-only file system"]


def test_the_workspace_belongs_to_the_user(kernels: dict[str, Kernel]) -> None:
    shown = kernels[PLAIN_USER].run(
        "import os; s = os.stat(os.path.expanduser('~/thinkube')); print(os.getuid(), s.st_uid, s.st_gid)"
    )

    assert shown.split() == ["1000", "1000", "100"]


def test_the_platforms_addresses_are_a_file_in_home(hub: Hub, kernels: dict[str, Kernel]) -> None:
    shown = kernels[PLAIN_USER].run(
        "import os; print(open(os.path.expanduser('~/.thinkube_env')).read(), end='')"
    )

    assert shown == text(hub.tenant)
    assert "GIT_URL=https://git." in shown


def test_more_on_scratch_than_its_limit_ends_the_server_not_the_node(
    hub: Hub, kernels: dict[str, Kernel]
) -> None:
    """The last one here: the kubelet looks every ten seconds, and evicts the pod of ADMIN_USER alone."""
    kernels[ADMIN_USER].run(f"import subprocess; subprocess.run({BEYOND!r}, shell=True, check=True)")

    deadline = time.monotonic() + 120
    while (running := _users(hub)) != {PLAIN_USER}:
        assert time.monotonic() < deadline, running
        time.sleep(1)


def _users(hub: Hub) -> set[str]:
    pods = [
        p for p in hub.notebook_pods() if p.status.phase == "Running" and not p.metadata.deletion_timestamp
    ]
    return {pod.metadata.annotations["hub.jupyter.org/username"] for pod in pods}
