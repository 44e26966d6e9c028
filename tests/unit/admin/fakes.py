"""Stand-ins for the cluster and the services, out of tables."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx


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
    fallback: Callable[[httpx.Request], httpx.Response | None] = lambda request: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.get((request.method, str(request.url).partition("?")[0]))
        if answer is None:
            answer = self.fallback(request)
        elif callable(answer):
            answer = answer(request)
        if answer is None:
            raise httpx.ConnectError("connection refused", request=request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)
