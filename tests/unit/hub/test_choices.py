"""The verdict: exact matches of what is on offer now, everything else is refused with a sentence."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thinkube_profiles.catalogue import NotebookImage
from thinkube_profiles.choices import (
    Choice,
    Refusal,
    User,
    choose,
    image_offers,
    preselected_image,
    size_offers,
)
from thinkube_profiles.quantities import GIB
from thinkube_profiles.resources import Amount, Node
from thinkube_profiles.rules import Profiles

PROFILES = Profiles.model_validate(
    {
        "sizes": [
            {"slug": "basic", "displayName": "CPU basic", "cpu": 2, "memoryGb": 4},
            {"slug": "large", "displayName": "CPU large", "cpu": 8, "memoryGb": 16},
            {"slug": "huge", "displayName": "CPU huge", "cpu": 64, "memoryGb": 256},
        ],
        "cpuGuaranteeFraction": 0.5,
    }
)
NODES = (
    Node("full", Amount(8, 31 * GIB), Amount(0.5, GIB)),
    Node("room", Amount(4, 15 * GIB), Amount(3.2, 12 * GIB)),
)
SCIPY = NotebookImage("scipy", "Data", "", "harbor.example.org/library/scipy@sha256:" + "0" * 64, True, False)
TORCH = NotebookImage("torch", "PyTorch", "", "harbor.example.org/library/torch:1", False, True)
USER = User("alice")


def verdict(options: object, nodes: tuple[Node, ...] = NODES) -> Choice | Refusal:
    return choose((SCIPY, TORCH), nodes, PROFILES, USER, options)


def test_a_listed_choice_is_granted_to_the_letter() -> None:
    assert verdict({"profile": "basic", "image": "scipy"}) == Choice(
        "basic", "scipy", SCIPY.reference, Amount(2, 4 * GIB), Amount(1, 4 * GIB)
    )


def test_what_merely_is_not_free_is_granted() -> None:
    assert isinstance(verdict({"profile": "large", "image": "scipy"}), Choice)


def test_what_no_node_has_is_refused_with_the_figures() -> None:
    refusal = verdict({"profile": "huge", "image": "scipy"})
    assert refusal == Refusal(
        409,
        "CPU huge cannot be started: it needs 32 cores and 256 GB on one node, "
        "and the largest one has 8 cores and 31 GB.",
    )


def test_a_cluster_without_nodes_refuses_everything() -> None:
    refusal = verdict({"profile": "basic", "image": "scipy"}, nodes=())
    assert isinstance(refusal, Refusal)
    assert "no node" in refusal.sentence


def test_an_image_that_needs_a_gpu_is_refused_on_a_cpu_size() -> None:
    refusal = verdict({"profile": "basic", "image": "torch"})
    assert isinstance(refusal, Refusal)
    assert "needs a GPU" in refusal.sentence


GOOD: dict[str, Any] = {"profile": "basic", "image": "scipy"}


@pytest.mark.parametrize(
    "options",
    [
        None, True, 5, "basic", [], [GOOD], {}, {"image": "scipy"}, {"profile": "basic"},
        {**GOOD, "cpu": 64}, {**GOOD, "kubespawner_override": {}}, {**GOOD, "image--unlisted-choice": "x"},
        {**GOOD, "profile": ""}, {**GOOD, "profile": None}, {**GOOD, "profile": ["basic"]},
        {**GOOD, "profile": {}}, {**GOOD, "profile": True}, {**GOOD, "profile": 0},
        {**GOOD, "profile": 10**400}, {**GOOD, "profile": math.nan}, {**GOOD, "profile": "basic\n"},
        {**GOOD, "profile": " basic"}, {**GOOD, "profile": "Basic"}, {**GOOD, "profile": "basic\u200b"},
        {**GOOD, "profile": "\uff42asic"}, {**GOOD, "profile": "basic,large"},
        {**GOOD, "image": ["scipy"]}, {**GOOD, "image": True}, {**GOOD, "image": "scipy\n"},
        {**GOOD, "image": ".*"}, {**GOOD, "image": SCIPY.reference}, {**GOOD, "image": ""},
        {**GOOD, "image": "scipy@sha256:" + "1" * 64}, {**GOOD, "image": "evil.example.org/x"},
        {**GOOD, "image": "x" * 10**6},
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_one_short_line(options: object) -> None:
    refusal = verdict(options)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 400
    assert refusal.sentence.endswith(".")
    assert len(refusal.sentence) < 200
    assert refusal.sentence.isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NEAR = st.fixed_dictionaries(
    {"profile": st.sampled_from(["basic", "large", "huge", "basic\n"]) | JSON},
    optional={"image": st.sampled_from(["scipy", "torch", "scipy:1"]) | JSON, "cpu": JSON},
)


@given(JSON | NEAR)
def test_any_json_is_refused_or_within_the_table(options: object) -> None:
    result = verdict(json.loads(json.dumps(options)))
    if isinstance(result, Choice):
        assert (result.profile, result.limit) in {
            ("basic", Amount(2, 4 * GIB)),
            ("large", Amount(8, 16 * GIB)),
        }
        assert result.guarantee.fits(result.limit)
        assert result.image == SCIPY.reference
        assert options == {"profile": result.profile, "image": "scipy"}
    else:
        assert 400 <= result.status < 500


def test_sizes_tell_what_is_free_and_what_is_not() -> None:
    basic, large, huge = size_offers(NODES, PROFILES)
    assert (basic.free_nodes, basic.warning, basic.refused) == (1, None, None)
    assert large.warning
    assert not large.refused
    assert huge.refused
    assert not huge.warning


def test_fit_means_cpu_and_memory_on_the_same_node() -> None:
    split = (
        Node("cpu", Amount(64, GIB), Amount(64, GIB)),
        Node("ram", Amount(1, 512 * GIB), Amount(1, 512 * GIB)),
    )
    assert [bool(offer.refused) for offer in size_offers(split, PROFILES)] == [False, True, True]


def test_images_for_cpu_sizes_and_the_one_to_start_from() -> None:
    assert image_offers((TORCH, SCIPY)) == (SCIPY,)
    other = NotebookImage("other", "Other", "", "x/y:1", False, False)
    assert preselected_image((other, SCIPY)) == "scipy"
    assert preselected_image((other,)) == "other"
    assert preselected_image(()) is None
