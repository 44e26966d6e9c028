"""A stack's surroundings as fakes: the cluster as a dict of objects by path, services as a table of answers."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from admin.verify.context import Context
from components.settings.models import Settings
from tests.unit.admin.fakes import FakeCluster, FakeWeb


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def web() -> FakeWeb:
    return FakeWeb()


@pytest.fixture
def make_context(cluster: FakeCluster, web: FakeWeb) -> Callable[..., Context]:
    """A context of a stack with the given settings over a minimal stack file."""

    def make(**settings: Any) -> Context:
        values = {
            "domain_name": "example.org",
            "admin_username": "ada",
            "hub": {"tls": {"secretName": "tls"}},
            "storage": {"backend": "hostPath", "hostPathRoot": "/srv/volumes"},
            **settings,
        }
        return Context(
            stack="prod",
            settings=Settings.model_validate(values),
            outputs={"url": "https://jupyter.example.org", "claims": {"notebooks": "jupyter-notebooks-pvc"}},
            cluster=cluster,
            http=httpx.Client(transport=httpx.MockTransport(web), trust_env=False),
            tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # trusts nobody yet
            secret=lambda key: f"the {key}",
        )

    return make


@pytest.fixture
def context(make_context: Callable[..., Context]) -> Context:
    return make_context()
