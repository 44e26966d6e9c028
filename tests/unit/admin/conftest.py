"""A stack's surroundings as fakes: the cluster as a dict of objects by path, services as a table of answers."""

from __future__ import annotations

import copy
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from admin.verify.cluster import Refused
from admin.verify.context import Context
from components.settings.models import Settings


@dataclass
class FakeCluster:
    """GETs out of `objects`; a value that is an exception is raised."""

    objects: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def get(self, path: str, **query: str) -> Any:
        self.asked.append((path, query))
        answer = self.objects.get(path)
        if isinstance(answer, Exception):
            raise answer
        return copy.deepcopy(answer)


@dataclass
class FakeWeb:
    """Answers by (method, URL without query); what is not in the table has no address."""

    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.get((request.method, str(request.url).partition("?")[0]))
        if callable(answer):
            answer = answer(request)
        if answer is None:
            raise httpx.ConnectError("connection refused", request=request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)


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
            http=httpx.Client(transport=httpx.MockTransport(web)),
            tls=ssl.create_default_context(),
            secret=lambda key: f"the {key}",
        )

    return make


@pytest.fixture
def context(make_context: Callable[..., Context]) -> Context:
    return make_context()


def refused(status: int = 403) -> Refused:
    """What the API server says to somebody without the right."""
    return Refused(status, "forbidden")
