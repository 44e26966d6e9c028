"""Each missing precondition gives its own sentence, with what to do, before anything starts."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple

import pytest

from local import network, preflight
from local.errors import PlatformError

_Usage = namedtuple("_Usage", "total used free")


def test_without_root_it_says_so_and_looks_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(PlatformError) as problem:
        preflight.check((preflight.root, lambda: "never asked"))
    assert "needs root" in str(problem.value)
    assert "sudo make up" in str(problem.value)
    assert "never asked" not in str(problem.value)


def test_all_problems_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(10**12, 0, 10**9))
    monkeypatch.setattr(os, "sysconf", lambda _: 2**15)  # pages of 32 KiB, 32 Ki of them: 1 GiB

    with pytest.raises(PlatformError) as problem:
        preflight.check((preflight.disk, preflight.memory))
    first, second = str(problem.value).splitlines()
    assert "0.9 GB free" in first
    assert "XDG_CACHE_HOME" in first
    assert "1.0 GB of memory" in second


def test_a_route_over_our_range_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(network, "conflict", lambda: "10.0.0.0/8 dev tun0")

    assert "overlaps the route 10.0.0.0/8 dev tun0" in (preflight.address_range() or "")


def test_a_dead_package_index_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(preflight, "CACHE", tmp_path)
    monkeypatch.setattr(preflight, "_quiet", lambda argv, **_: "ERROR: connection refused")

    sentence = preflight.python_index()
    assert sentence is not None
    assert "connection refused" in sentence
    assert "pip config list" in sentence


def test_a_probe_reports_the_last_line_of_what_failed() -> None:
    assert preflight._quiet(["sh", "-c", "echo first >&2; echo last >&2; exit 3"]) == "last"
    assert preflight._quiet(["true"]) == ""


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        (None, "10.251.0.1,10.251.0.0/16,.thinkube.test"),
        ("localhost, 10.251.0.1,thinkube.test", "10.251.0.0/16"),
        ("10.251.0.1,10.251.0.0/16,.thinkube.test", None),
        ("*", None),
    ],
)
def test_behind_a_proxy_our_addresses_are_excepted(
    held: str | None, missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        if held is not None:
            monkeypatch.setenv(name, held)

    problem = preflight.proxy()
    assert (problem is None) == (missing is None)
    assert missing is None or f"lacks {missing}, so" in str(problem)


def test_without_a_proxy_nothing_is_asked_of_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    assert preflight.proxy() is None
