"""The hub's metrics tell how old its figures are."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY, generate_latest
from thinkube_profiles.discovery import Discovery
from thinkube_profiles.metrics import expose


def shown(source: str) -> float | None:
    return REGISTRY.get_sample_value("thinkube_discovery_age_seconds", {"source": source})


async def test_ages_by_source_as_they_are_when_asked(discovery: Discovery, answers: Any) -> None:
    expose(discovery)
    assert shown("images") == float("inf")
    assert b'thinkube_discovery_age_seconds{source="resources"} +Inf' in generate_latest(REGISTRY)

    await discovery.refresh()
    answers.images_answer = ConnectionRefusedError("refused")
    answers.now += 7
    await discovery.refresh()

    assert (shown("images"), shown("resources"), shown("catalogue")) == (7, 0, 0)


async def test_the_hub_that_reads_its_configuration_again_shows_the_new_one(
    discovery: Discovery, settings: Any, answers: Any
) -> None:
    expose(discovery)
    await discovery.refresh()
    expose(Discovery(settings, answers, answers, clock=answers.clock))

    assert shown("images") == float("inf")
