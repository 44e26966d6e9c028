"""Discovery keeps the last good answers, tells their age, and survives whatever a source does."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from thinkube_profiles.discovery import Discovery
from thinkube_profiles.rules import Settings, read_settings
from tornado import httpserver, netutil, web

GARBAGE = [None, 5, "x", {}, {"detail": "error"}, [None], [5, {"name": []}], float("nan")]


async def test_before_the_first_answer_the_missing_service_is_named(
    discovery: Discovery, answers: Any
) -> None:
    facts = discovery.facts()
    assert "Waiting for the first answer of thinkube-control" in str(facts.missing)
    answers.manifest_answer = OSError("no route")
    await discovery.refresh()
    assert "ConfigMap jupyterhub-image-catalogue" in str(discovery.facts().missing)


async def test_good_answers_make_usable_facts_that_age(discovery: Discovery, answers: Any) -> None:
    assert await discovery.refresh()
    answers.now += 7
    facts = discovery.facts()
    assert (facts.missing, facts.overdue, facts.age_seconds) == (None, None, 7)
    assert [node.name for node in facts.nodes] == ["full-1", "room-1"]
    assert [image.name for image in facts.images] == ["tk-jupyter-scipy", "tk-jupyter-ml-gpu", "team-r"]


async def test_the_next_answer_replaces_the_last(discovery: Discovery, answers: Any, image_row: Any) -> None:
    await discovery.refresh()
    answers.images_answer.append(image_row("new-one", "v1"))
    answers.resources_answer.pop()
    await discovery.refresh()
    facts = discovery.facts()
    assert "new-one" in [image.name for image in facts.images]
    assert len(facts.nodes) == 1


@pytest.mark.parametrize("source", ["images_answer", "resources_answer", "manifest_answer"])
async def test_the_last_answer_outlives_its_source_until_it_is_stale(
    discovery: Discovery, answers: Any, source: str
) -> None:
    await discovery.refresh()
    before = discovery.facts()
    setattr(answers, source, ConnectionRefusedError("refused"))
    answers.now += 290
    assert not await discovery.refresh()
    late = discovery.facts()
    assert (late.nodes, late.images, late.missing) == (before.nodes, before.images, None)
    assert "stays in use" in str(late.overdue)
    answers.now += 11
    assert "for 5 min: no server can be started now" in str(discovery.facts().missing)


async def test_a_service_that_comes_back_is_used_again(discovery: Discovery, answers: Any) -> None:
    await discovery.refresh()
    good, answers.resources_answer = answers.resources_answer, OSError("away")
    answers.now += 400
    await discovery.refresh()
    assert discovery.facts().missing
    answers.resources_answer = good
    assert await discovery.refresh()
    assert discovery.facts().missing is None


@pytest.mark.parametrize("source", ["images_answer", "resources_answer", "manifest_answer"])
@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_never_replaces_a_good_answer(
    discovery: Discovery, answers: Any, source: str, garbage: object
) -> None:
    await discovery.refresh()
    before = discovery.facts()
    setattr(answers, source, garbage)
    assert not await discovery.refresh()
    assert (discovery.facts().nodes, discovery.facts().images) == (before.nodes, before.images)


async def test_reasons_are_logged_once(
    discovery: Discovery, answers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answers.resources_answer.append({"name": "broken"})
    with caplog.at_level(logging.INFO):
        await discovery.refresh()
        await discovery.refresh()
        assert caplog.text.count("node entry 2: capacity is no object") == 1
        answers.resources_answer = OSError("away")
        await discovery.refresh()
        await discovery.refresh()
        assert caplog.text.count("OSError: away") == 1
        answers.resources_answer = []
        await discovery.refresh()
        assert "answers again" in caplog.text


async def test_the_background_task_refreshes_and_ends_with_the_hub(
    values: dict[str, Any], answers: Any, image_row: Any
) -> None:
    values["control"]["refreshSeconds"] = 0.02
    discovery = Discovery(read_settings(values), answers, answers)
    discovery.ensure_started()
    task = discovery._task
    discovery.ensure_started()
    assert task is not None
    assert discovery._task is task
    await until(lambda: discovery.facts().missing is None)
    answers.images_answer.append(image_row("new-one", "v1"))
    await until(lambda: "new-one" in [image.name for image in discovery.facts().images])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert answers.closed == 2
    discovery.ensure_started()
    assert discovery._task is not task
    discovery._task.cancel()


async def test_trouble_is_retried_soon_and_with_patience(
    discovery: Discovery, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            answers.images_answer = []
        if len(pauses) == 8:
            raise asyncio.CancelledError

    answers.images_answer = OSError("away")
    monkeypatch.setattr("thinkube_profiles.discovery.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await discovery._keep_asking()
    for pause, meant in zip(pauses, [1, 2, 4, 8, 15, 15, 15, 15], strict=True):
        assert 0.9 * meant <= pause <= 1.1 * meant


def test_without_a_loop_nothing_starts(discovery: Discovery) -> None:
    discovery.ensure_started()
    assert discovery._task is None


async def until(happened: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


class Service:
    """A real HTTP server in thinkube-control's place; `behave` decides what each request gets."""

    def __init__(self, images: object, resources: object) -> None:
        self.bodies = {"/api/v1/images/jupyter": images, "/api/v1/cluster/resources": resources}
        self.behave: Callable[[web.RequestHandler], Any] | None = None
        self.url = ""


@pytest.fixture
async def service(images: object, resources: object) -> AsyncIterator[Service]:
    served = Service(images, resources)

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            if served.behave:
                await served.behave(self)
            else:
                self.finish(json.dumps(served.bodies[self.request.path]))

    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server = httpserver.HTTPServer(web.Application([(r"/api/v1/.*", Handler)]))
    server.add_sockets(sockets)
    served.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/api/v1"
    yield served
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def asking(service: Service, values: dict[str, Any], answers: Any) -> AsyncIterator[Discovery]:
    """Discovery over the real HTTP client, with a deadline of 0.3 s."""
    values["control"] |= {"url": service.url, "deadlineSeconds": 0.3}
    settings: Settings = read_settings(values)
    discovery = Discovery(settings, catalogue=answers)
    yield discovery
    await discovery._control.close()


async def test_answers_over_http_are_read(asking: Discovery) -> None:
    assert await asking.refresh()
    assert len(asking.facts().nodes) == 2


async def hang(_handler: web.RequestHandler) -> None:
    await asyncio.sleep(3)


async def drip(handler: web.RequestHandler) -> None:
    for _ in range(100):
        handler.write(b" ")
        await handler.flush()
        await asyncio.sleep(0.03)


async def fail(handler: web.RequestHandler) -> None:
    handler.set_status(500)


async def redirect(handler: web.RequestHandler) -> None:
    handler.redirect("http://127.0.0.1:9/elsewhere")


async def nonsense(handler: web.RequestHandler) -> None:
    handler.write(b"\xff\xfe<html>")


async def deep(handler: web.RequestHandler) -> None:
    handler.write(b"[" * 200_000)


async def endless(handler: web.RequestHandler) -> None:
    handler.set_header("Content-Length", str(2**40))


@pytest.mark.parametrize("behaviour", [hang, drip, fail, redirect, nonsense, deep, endless])
async def test_whatever_the_service_does_costs_the_hub_nothing(
    asking: Discovery, service: Service, behaviour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert await asking.refresh()
    service.behave = behaviour
    stalls = []
    for _ in range(3):  # a busy machine stalls a loop now and then, code that blocks does it each time
        stall = asyncio.create_task(longest_stall())
        begun = time.monotonic()
        assert not await asking.refresh()
        assert time.monotonic() - begun < 1
        stall.cancel()
        stalls.append(await stall)
    assert min(stalls) < 0.25
    assert asking.facts().overdue
    assert len(asking.facts().nodes) == 2


async def test_a_service_that_is_not_there_is_named(values: dict[str, Any], answers: Any) -> None:
    values["control"]["url"] = "http://127.0.0.1:1/api/v1"
    discovery = Discovery(read_settings(values), catalogue=answers)
    assert not await discovery.refresh()
    assert "thinkube-control" in str(discovery.facts().missing)
    await discovery._control.close()


async def test_outside_a_cluster_the_catalogue_is_missing_not_fatal(
    settings: Settings, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    discovery = Discovery(settings, control=answers)
    assert not await discovery.refresh()
    assert "image catalogue" in str(discovery.facts().missing)


async def longest_stall() -> float:
    """Longest time for which the loop ran nothing else, until cancelled."""
    longest, last = 0.0, time.monotonic()
    try:
        while True:
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    except asyncio.CancelledError:
        return longest
