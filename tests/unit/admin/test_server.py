"""V-SERVER against a hub of a few lines: what it says when a step fails, and that nothing is left, whatever happens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from admin.verify import server
from admin.verify.checks import chosen
from admin.verify.context import Context, Options
from admin.verify.model import Finding, Result
from admin.verify.runner import run_checks
from tests.unit.admin import world as w
from tests.unit.admin.fakes import FakeCluster, FakeWeb

USER = f"{w.HUB}/hub/api/users/thinkube-verify"
CONTENTS = f"{w.HUB}/user/thinkube-verify/api/contents/thinkube/notebooks"
PODS = f"{w.NS}/pods"
EVENTS = f"{w.NS}/events"


@dataclass
class FakeHub:
    """A user, one server, its files; `broken` maps "METHOD what" to the answer in its place."""

    web: FakeWeb
    cluster: FakeCluster
    user: bool = True
    server: str = ""
    files: dict[str, str] = field(default_factory=dict)
    pending: int = 2
    broken: dict[str, httpx.Response | BaseException] = field(default_factory=dict)
    stuck: bool = False
    seen_pods: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response | None:
        url = str(request.url).partition("?")[0]
        for place, answer in (
            (USER + "/server", self.of_server),
            (USER, self.of_user),
            (CONTENTS, self.of_files),
        ):
            if url.startswith(place):
                assert request.headers["Authorization"] == "token t0ken"
                what = {USER: "user", USER + "/server": "server", CONTENTS: "file"}[place]
                if fault := self.broken.get(f"{request.method} {what}"):
                    if isinstance(fault, BaseException):
                        raise fault
                    return fault
                return answer(request, url)
        return None

    def of_user(self, request: httpx.Request, url: str) -> httpx.Response:
        assert request.method == "GET"
        if not self.user:
            return httpx.Response(404, json={})
        if self.server == "starting":
            self.pending -= 1
            self.server = "ready" if self.pending <= 0 else "starting"
        return httpx.Response(
            200, json={"servers": {"": {"ready": self.server == "ready"}} if self.server else {}}
        )

    def of_server(self, request: httpx.Request, url: str) -> httpx.Response:
        if request.method == "POST":
            assert json.loads(request.content) == {"profile": "cpu-basic", "image": "tk-jupyter-scipy"}
            self.server = "starting"
            self.pods(["jupyter-thinkube-verify"])
            return httpx.Response(202)
        if not self.stuck:
            self.server = ""
            self.pods([])
        return httpx.Response(204)

    def of_files(self, request: httpx.Request, url: str) -> httpx.Response:
        assert self.server == "ready"
        name = url.removeprefix(CONTENTS).strip("/")
        if not name:
            return httpx.Response(200, json={"content": [{"name": each} for each in self.files]})
        if request.method == "PUT":
            self.files[name] = json.loads(request.content)["content"]
            return httpx.Response(201)
        if request.method == "DELETE":
            del self.files[name]
            return httpx.Response(204)
        return httpx.Response(200, json={"content": self.files[name]})

    def pods(self, names: list[str]) -> None:
        self.cluster.objects[PODS] = {"items": [{"metadata": {"name": name}} for name in names]}


@pytest.fixture
def hub(web: FakeWeb, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    monkeypatch.setattr(server, "PAUSE", 0.0)
    monkeypatch.setattr(server, "STOP_TIMEOUT", 0.05)
    w.fill(cluster, web)
    fake = FakeHub(web, cluster)
    fake.pods([])
    cluster.objects[EVENTS] = {"items": []}
    web.fallback = fake
    return fake


def run(context: Context) -> dict[str, Finding]:
    return {finding.code: finding for finding in run_checks(chosen("V-SERVER"), context)}


def clean(hub: FakeHub) -> bool:
    return not (hub.server or hub.files or hub.cluster.objects[PODS]["items"])


def test_from_start_to_nothing_left(hub: FakeHub, context: Context) -> None:
    found = run(context)

    assert [found[f"V-SERVER-0{n}"].result for n in (1, 2, 3)] == [Result.OK] * 3
    assert re.search(r"make-verify-\w+\.txt: \d+ bytes", found["V-SERVER-02"].seen)
    assert clean(hub)


def refused(status: int, message: str) -> httpx.Response:
    return httpx.Response(status, json={"message": message})


@pytest.mark.parametrize(
    ("broken", "code", "says"),
    [
        ({"GET user": refused(404, "no")}, "V-SERVER-01", "The hub has no user thinkube-verify"),
        (
            {"POST server": refused(503, "No answer from thinkube-control")},
            "V-SERVER-01",
            "from thinkube-control.",
        ),
        ({"PUT file": refused(500, "Permission denied")}, "V-SERVER-02", "Permission denied"),
        ({"DELETE file": refused(500, "x")}, "V-SERVER-03", "make-verify-"),
    ],
)
def test_a_step_that_fails_is_named(
    broken: dict[str, httpx.Response | BaseException], code: str, says: str, hub: FakeHub, context: Context
) -> None:
    hub.broken = broken

    finding = run(context)[code]

    assert finding.result is Result.FAILED
    assert says in finding.reason
    assert not hub.server
    assert hub.cluster.objects[PODS]["items"] == []


def test_what_reads_back_differently_is_no_file(hub: FakeHub, context: Context) -> None:
    hub.broken = {"GET file": httpx.Response(200, json={"content": "other"})}

    assert "does not read back" in run(context)["V-SERVER-02"].reason


def test_a_start_that_fails_tells_what_the_cluster_says(hub: FakeHub, context: Context) -> None:
    event = {
        "involvedObject": {"name": "jupyter-thinkube-verify"},
        "type": "Warning",
        "message": "Insufficient cpu",
    }
    hub.cluster.objects[EVENTS] = {"items": [event]}
    progress = 'data: {"progress": 100, "failed": true, "message": "Spawn failed: no room."}\n\n'

    def of_server(request: httpx.Request, url: str) -> httpx.Response:
        return httpx.Response(200, text=progress) if url.endswith("/progress") else httpx.Response(202)

    hub.of_server = of_server  # type: ignore[method-assign]

    assert "did not start: Spawn failed: no room; Insufficient cpu." in run(context)["V-SERVER-01"].reason


def test_a_start_that_takes_too_long_is_given_up_and_cleaned_up(
    hub: FakeHub, make_context: Callable[..., Context]
) -> None:
    import time

    context = make_context()
    context.ends_at = time.monotonic() + 0.2
    hub.pending = 10**9

    assert "not ready after" in run(context)["V-SERVER-01"].reason
    assert clean(hub)


def test_a_server_that_does_not_stop_is_named(
    hub: FakeHub, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.stuck = True
    finding = run(context)["V-SERVER-03"]

    assert "the server of thinkube-verify; pod jupyter-thinkube-verify." in finding.reason
    assert "The clean-up was not complete" in capsys.readouterr().err


@pytest.mark.parametrize("when", ["POST server", "PUT file", "GET file"])
def test_an_interrupt_leaves_nothing(when: str, hub: FakeHub, context: Context) -> None:
    hub.broken = {when: KeyboardInterrupt()}
    interrupted = hub.__class__.__call__

    def once(request: httpx.Request) -> httpx.Response | None:
        try:
            return interrupted(hub, request)
        except KeyboardInterrupt:
            hub.broken = {}
            raise

    hub.web.fallback = once
    with pytest.raises(KeyboardInterrupt):
        run(context)
    assert clean(hub)


def test_what_an_earlier_run_left_goes_first_and_nothing_else(hub: FakeHub, context: Context) -> None:
    hub.server = "ready"
    hub.files = {"make-verify-0123.txt": "left", "thesis.txt": "somebody's"}
    hub.pods(["jupyter-thinkube-verify"])

    found = run(context)

    assert found["V-SERVER-03"].result is Result.OK
    assert hub.files == {"thesis.txt": "somebody's"}


def test_no_server(hub: FakeHub, context: Context) -> None:
    context.options = Options(server=False)
    found = run(context)

    assert [found[f"V-SERVER-0{n}"].result for n in (1, 2, 3)] == [Result.SKIPPED] * 3
    assert not [request for request in hub.web.requests if "thinkube-verify" in str(request.url)]


def test_a_deadline_that_is_over_does_not_stop_the_clean_up(hub: FakeHub, context: Context) -> None:
    original: Any = hub.of_files

    def late(request: httpx.Request, url: str) -> httpx.Response:
        context.ends_at = 0.0
        answer: httpx.Response = original(request, url)
        return answer

    hub.of_files = late  # type: ignore[method-assign]
    found = run(context)

    assert found["V-SERVER-03"].result is Result.NOT_CHECKED
    assert clean(hub)
