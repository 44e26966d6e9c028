"""Wrong settings stop the hub's start with a sentence that names the key."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from thinkube_profiles.rules import read_settings

from components.hub_values import thinkube_values
from components.settings import models as program_settings


def test_the_programs_values_are_taken(values: dict[str, Any]) -> None:
    settings = read_settings(values)
    assert settings.control.url == "http://127.0.0.1:9/api/v1"
    assert [size.slug for size in settings.profiles.sizes] == ["basic", "large", "huge"]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("control.url", "control", "control.url"),
        ("control.refreshSeconds", 0, "control.refreshSeconds"),
        ("control.deadlineSeconds", "2", "control.deadlineSeconds"),
        ("control.deadlineSeconds", True, "control.deadlineSeconds"),
        ("control.extra", 1, "control.extra"),
        ("catalogue.configMap", "", "catalogue.configMap"),
        ("profiles.sizes", [], "profiles.sizes"),
        ("profiles.cpuGuaranteeFraction", 1.5, "profiles.cpuGuaranteeFraction"),
        ("profiles.memoryGuaranteeFraction", float("nan"), "profiles.memoryGuaranteeFraction"),
        ("unknown", {}, "unknown"),
        ("defaultImage", None, "defaultImage"),
    ],
)
def test_a_wrong_key_is_named(values: dict[str, Any], path: str, value: object, named: str) -> None:
    *parents, last = path.split(".")
    section = values
    for parent in parents:
        section = section[parent]
    section[last] = value
    with pytest.raises(ValueError, match=f"custom.thinkube.{named}"):
        read_settings(values)


@pytest.mark.parametrize(
    ("key", "value"),
    [("slug", "Big Size"), ("slug", "a\n"), ("cpu", -1), ("cpu", float("inf")), ("memoryGb", 0), ("gpu", 1)],
)
def test_a_wrong_size_is_named(values: dict[str, Any], key: str, value: object) -> None:
    values["profiles"]["sizes"][1][key] = value
    with pytest.raises(ValueError, match=rf"custom.thinkube.profiles.sizes.1.{key}"):
        read_settings(values)


def test_two_sizes_cannot_share_a_slug(values: dict[str, Any]) -> None:
    values["profiles"]["sizes"][1]["slug"] = "basic"
    with pytest.raises(ValueError, match="same slug"):
        read_settings(values)


@pytest.mark.parametrize("nothing", [None, [], "x"])
def test_missing_settings_are_refused(nothing: object) -> None:
    with pytest.raises(ValueError, match=r"custom.thinkube"):
        read_settings(nothing)


def test_the_program_writes_what_this_code_reads() -> None:
    """Two halves of one contract: `custom.thinkube` as the program makes it, with all its defaults."""
    program = program_settings.Settings(
        domain_name="example.org", admin_username="admin", hub={"tls": {"secretName": "tls"}}
    )
    facts: Any = SimpleNamespace(catalogue="jupyterhub-image-catalogue")
    values = thinkube_values(program, facts)
    settings = read_settings(json.loads(json.dumps(values)))
    assert settings.control.url == str(program.control.url).rstrip("/")
    assert [size.slug for size in settings.profiles.sizes] == [size.slug for size in program.profiles.sizes]
    assert settings.default_image == program.images.default
