"""What lifecycle tests do with the program and its stack: change a copy, watch users.

Leaves alone: bringing the stack back to the program as it is in this checkout (a fixture of test_lifecycle.py).
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from kubernetes import client

from local import credentials as credential_store
from local import stack as stacks
from local.cluster_parts import api_client
from local.engine import Stack
from local.paths import CA_FILE
from local.platform import TEST
from tests.platform.hub import Hub
from tests.platform.program import copy_program
from tests.platform.server import Kernel

Change = Callable[[Path], None]
RELEASE = "jupyterhub"


def changed_program(folder: Path, *changes: Change) -> Stack:
    """A copy of the program in ``folder`` with the changes made to it, opened on the tests' stack."""
    copy_program(folder)
    for change in changes:
        change(folder)
    return stacks.open_stack(TEST, credential_store.load(), program=folder)


def replaced(file: str, old: str, new: str) -> Change:
    """A change of a file's text; what is to be replaced must be there once."""

    def change(folder: Path) -> None:
        path = folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file}: {old!r} is there {text.count(old)} times"
        path.write_text(text.replace(old, new))

    return change


def appended(file: str, text: str) -> Change:
    """A change that adds lines to a file's end."""

    def change(folder: Path) -> None:
        with (folder / file).open("a") as target:
            target.write(text)

    return change


@contextmanager
def configured(stack: Stack, **sections: dict[str, Any]) -> Iterator[None]:
    """The stack's configuration with these keys changed in its objects, for a while."""
    before = stack.config_file.read_text()
    config = yaml.safe_load(before)["config"]
    plain = {}
    for name, values in sections.items():
        plain[name] = stacks.merged(config.get(f"{stack.project}:{name}", {}), values)
    stack.set_config(plain)
    try:
        yield
    finally:
        stack.config_file.write_text(before)


def release_status() -> str:
    """Status of the newest revision of the hub's Helm release, as Helm's record is labelled; "" without one."""
    records = (
        client.CoreV1Api(api_client())
        .list_namespaced_secret(TEST.namespace, label_selector=f"owner=helm,name={RELEASE}")
        .items
    )
    newest = max(records, key=lambda record: int(record.metadata.labels["version"]), default=None)
    return newest.metadata.labels["status"] if newest else ""


def hub_answers(hub: Hub, within: float = 30) -> bool:
    """Whether the hub itself answers through the Ingress; one that was just ready may need a moment."""
    deadline = time.monotonic() + within
    with httpx.Client(verify=ssl.create_default_context(cafile=str(CA_FILE)), timeout=5) as http:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if http.get(f"{hub.url}/hub/health").status_code == 200:
                    return True
            if time.monotonic() > deadline:
                return False
            time.sleep(2)


@dataclass(frozen=True)
class Notebook:
    """A user's running server, watched from outside while the stack changes."""

    hub: Hub
    kernel: Kernel
    uid: str

    def goes_on(self) -> bool:
        """The same pod, never restarted, and its kernel, reached through the proxy, knows what it knew."""
        pods = [pod for pod in self.hub.notebook_pods() if pod.metadata.uid == self.uid]
        restarts = [status.restart_count for pod in pods for status in pod.status.container_statuses]
        return restarts == [0] and self.kernel.run("print(known)").strip() == "from before"
