"""The spawn page shows what thinkube-control reports, and follows when its answer changes."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from playwright.sync_api import Page, expect

from local.cluster_parts import api_client
from local.containers import PAUSE_IMAGE
from local.control.resources import parse_memory
from local.credentials import PLAIN_USER
from local.paths import REGISTRY
from tests.platform.hub import Hub

FOLLOWS_WITHIN = 20  # seconds: the stack asks every 3 s, the stand-in's own figures are up to 2 s old


def test_images_and_sizes_are_those_that_thinkube_control_reports(hub: Hub, page: Page) -> None:
    reported = hub.control_request("GET", "images/jupyter")
    hub.log_in(page, PLAIN_USER)
    hub.open_spawn_page(page)

    names = {
        image["name"] for image in reported
    }  # it never forgets a tag: one image may be listed several times

    assert names == {"tk-jupyter-scipy"}
    expect(page.get_by_test_id("image-tk-jupyter-scipy")).to_contain_text(reported[0]["display_name"])
    expect(page.locator("[data-testid^=image-]")).to_have_count(len(names))
    # what the page says follows from the figures, whatever else runs on this node; they are some seconds apart
    for slug, cores, memory in (("cpu-basic", 2, 4), ("cpu-medium", 4, 8), ("cpu-large", 8, 16)):
        card = page.get_by_test_id(f"size-{slug}")
        _reload_until(hub, page, lambda: _offer(hub, cores, memory) in card.inner_text())  # noqa: B023 - called here
    hub.picture(page, "spawn")


def test_a_new_image_appears_without_a_hub_restart(hub: Hub, page: Page, registered_image: str) -> None:
    hub.log_in(page, PLAIN_USER)

    _reload_until(hub, page, lambda: page.get_by_test_id(f"image-{registered_image}").is_visible())


def test_a_size_that_is_taken_shows_it(hub: Hub, page: Page, busy_node: None) -> None:
    hub.log_in(page, PLAIN_USER)

    card = page.get_by_test_id("size-cpu-large")
    _reload_until(hub, page, lambda: "Free now" not in card.inner_text())
    expect(card.get_by_role("radio")).to_be_enabled()  # not free now is a warning, not a refusal


@pytest.fixture
def registered_image(hub: Hub) -> Iterator[str]:
    """An image that somebody else registers: a labelled ConfigMap, then thinkube-control is asked to look."""
    name = "team-notebook"
    image = {
        "name": name, "registry": REGISTRY, "repository": "library/team-notebook", "tag": "2026-11",
        "source_url": "", "destination_url": f"{REGISTRY}/library/{name}:2026-11", "category": "user",
        "description": "What the team uses", "source": "built", "protected": False,
        "mirror_date": "2026-11-01T00:00:00Z", "harbor_project": "library",
        "metadata": {"purpose": "jupyter", "display_name": "Team notebook", "gpu_required": False},
    }  # fmt: skip
    core = client.CoreV1Api(api_client())
    core.create_namespaced_config_map(
        hub.tenant.namespace,
        {
            "metadata": {
                "name": name,
                "labels": {"thinkube.io/image-manifest": "true", "thinkube.io/category": "user"},
            },
            "data": {"manifest.json": json.dumps({"manifest_version": "1.0", "images": [image]})},
        },
    )
    try:
        hub.sync_images()
        yield name
    finally:
        core.delete_namespaced_config_map(name, hub.tenant.namespace)
        # thinkube-control never forgets an image: a new process starts from what the manifests say now
        _restart_control(hub)


@pytest.fixture
def busy_node() -> Iterator[None]:
    """Somebody else's pod that reserves most of the node's cores."""
    core = client.CoreV1Api(api_client())
    cores = str(round(float(core.list_node().items[0].status.allocatable["cpu"]) - 0.9, 1))
    container = {
        "name": "busy", "image": PAUSE_IMAGE, "imagePullPolicy": "Never",
        "resources": {"requests": {"cpu": cores}, "limits": {"cpu": cores}},  # thinkube-control counts limits
    }  # fmt: skip
    core.create_namespaced_pod(
        "default",
        {
            "metadata": {"name": "busy"},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        },
    )
    try:
        yield
    finally:
        core.delete_namespaced_pod("busy", "default", grace_period_seconds=0)


def _offer(hub: Hub, cores: int, memory: int) -> str:
    """What the page says of a size of so many cores and GiB, by thinkube-control's figures of now.

    What counts is the size's reservation: on the embedded platform a tenth of it (Pulumi.local.yaml).
    """
    free = [node["available"] for node in hub.control_request("GET", "cluster/resources")]
    fits = [n["cpu"] >= cores / 10 and parse_memory(n["memory"]) >= memory * 2**30 / 10 for n in free]
    return f"Free now on {sum(fits)} node." if any(fits) else "Not free now"


def _restart_control(hub: Hub) -> None:
    core = client.CoreV1Api(api_client())
    namespace = hub.tenant.control_namespace
    for pod in core.list_namespaced_pod(namespace).items:
        with contextlib.suppress(ApiException):
            core.delete_namespaced_pod(pod.metadata.name, namespace, grace_period_seconds=0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(ApiException):
            if [image["name"] for image in hub.control_request("GET", "images/jupyter")] == [
                "tk-jupyter-scipy"
            ]:
                return
        time.sleep(0.5)
    raise AssertionError("thinkube-control did not come back")


def _reload_until(hub: Hub, page: Page, holds) -> None:  # type: ignore[no-untyped-def]
    hub.stop(page)
    deadline = time.monotonic() + FOLLOWS_WITHIN
    while True:
        page.goto(f"{hub.url}/hub/spawn")
        expect(page.get_by_test_id("figures-age")).to_be_visible()
        if holds():
            return
        if time.monotonic() > deadline:
            raise AssertionError(
                f"The page did not follow within {FOLLOWS_WITHIN} s:\n{page.inner_text('body')}"
            )
        time.sleep(1)
