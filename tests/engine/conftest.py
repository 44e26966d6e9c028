"""What the engine tests stand on: a cluster's API, the Pulumi tools, and a workbench that runs small
programs.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.engine import PROVIDERS, Stack
from local.providers.kubernetes.cluster import Cluster, Kubeconfig
from tests.engine import apiserver

SECRET = "hunter2-must-not-show"


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A cluster's kubeconfig: the one given by THINKUBE_ENGINE_KUBECONFIG, else of an API server that lives
    as long as the tests.
    """
    given = os.environ.get("THINKUBE_ENGINE_KUBECONFIG")
    if given:
        yield Path(given)
        return
    if not os.environ.get("THINKUBE_ENGINE_TOOLS"):
        request.getfixturevalue("engine_tools")
    with apiserver.running(tmp_path_factory.mktemp("cluster")) as path:
        yield path


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path) -> Cluster:
    """The same cluster, for looking at it and changing it by hand."""
    return Cluster(Kubeconfig(str(kubeconfig)))


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace, deleted after the test."""
    name = "t-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")[:50].strip(
        "-"
    )
    cluster.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    yield name
    cluster.request("DELETE", f"/api/v1/namespaces/{name}")


Program = Callable[..., Stack]


@pytest.fixture
def program(tmp_path: Path, kubeconfig: Path) -> Program:
    """``program(source)`` makes or rewrites the test's program and gives its stack, on the stand-in
    providers.
    """

    def write(source: str, name: str = "dev", env: dict[str, str] | None = None) -> Stack:
        folder = tmp_path / "program"
        folder.mkdir(exist_ok=True)
        (folder / "Pulumi.yaml").write_text("name: engine-test\nruntime: python\n")
        (folder / "__main__.py").write_text(textwrap.dedent(source))
        return Stack(
            folder,
            name,
            folder=tmp_path / "state",
            passphrase="engine-tests",
            path=[apiserver.binaries(), Path(sys.executable).parent, PROVIDERS],
            env={
                "KUBECONFIG": str(kubeconfig),
                "THINKUBE_PYTHON": sys.executable,
                "PYTHONDONTWRITEBYTECODE": "1",
                **(env or {}),
            },
        )

    return write


def state_of(stack: Stack, name: str) -> dict[str, Any]:
    """The stored resource with this logical name."""
    resources = stack.export()["deployment"]["resources"]
    return next(resource for resource in resources if resource["urn"].endswith(f"::{name}"))
