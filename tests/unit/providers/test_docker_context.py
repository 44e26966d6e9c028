"""docker.Image without an engine: the context's digest, .dockerignore, what a change is, what an error says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pulumi.provider.experimental import provider as rpc
from pulumi.provider.experimental.property_value import PropertyValue

from local.providers.docker.context import digest, files, patterns
from local.providers.docker.engine import Login, _step
from local.providers.docker.provider import IMAGE, DockerProvider, _without_tag
from local.providers.serve import ProviderError
from local.providers.values import UNKNOWN, plain_map, wrap_map

URN = f"urn:pulumi:dev::p::{IMAGE}::i"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "a.txt", "b.log", "deep/c.txt", "deep/d.log", "deep/er/e.log", "keep.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ("", ["Dockerfile", "a.txt", "b.log", "deep/c.txt", "deep/d.log", "deep/er/e.log", "keep.log"]),
        ("*.log", ["Dockerfile", "a.txt", "deep/c.txt", "deep/d.log", "deep/er/e.log"]),
        ("**/*.log", ["Dockerfile", "a.txt", "deep/c.txt"]),
        ("**/*.log\n!keep.log", ["Dockerfile", "a.txt", "deep/c.txt", "keep.log"]),
        ("deep", ["Dockerfile", "a.txt", "b.log", "keep.log"]),
        ("/deep/\n!deep/er", ["Dockerfile", "a.txt", "b.log", "deep/er/e.log", "keep.log"]),
        ("# a comment\n\n  *\n!?.txt\n", ["a.txt"]),
        ("deep/*/", ["Dockerfile", "a.txt", "b.log", "keep.log"]),
        ("[ab].*", ["Dockerfile", "deep/c.txt", "deep/d.log", "deep/er/e.log", "keep.log"]),
    ],
)
def test_dockerignore(context: Path, lines: str, left: list[str]) -> None:
    (context / ".dockerignore").write_text(lines)
    found = sorted(name for name, _ in files(context, patterns(context, context / "Dockerfile")))
    assert [name for name in found if name != ".dockerignore"] == left


def test_the_dockerfiles_own_ignore_file_wins(context: Path) -> None:
    (context / ".dockerignore").write_text("a.txt")
    (context / "Dockerfile.dockerignore").write_text("b.log")
    assert patterns(context, context / "Dockerfile") == ["b.log"]


def test_digest_sees_content_name_mode_and_links_but_no_times(context: Path) -> None:
    def now() -> str:
        return digest(context, context / "Dockerfile")

    (context / ".dockerignore").write_text("*.log\n")
    seen = [now()]
    os.utime(context / "a.txt", (1, 1))
    (context / "b.log").write_text("ignored")
    assert now() == seen[0]
    (context / "a.txt").write_text("other")
    seen.append(now())
    (context / "a.txt").chmod(0o755)
    seen.append(now())
    (context / "a.txt").rename(context / "z.txt")
    seen.append(now())
    (context / "link").symlink_to("z.txt")
    seen.append(now())
    (context / "link").unlink()
    (context / "link").symlink_to("deep")
    seen.append(now())
    (context / "Dockerfile").write_text("FROM other")
    seen.append(now())
    assert len(set(seen)) == len(seen)


async def check(inputs: dict[str, Any]) -> dict[str, Any]:
    answer = await DockerProvider().check(rpc.CheckRequest(URN, {}, wrap_map(inputs), b""))
    assert not answer.failures, [failure.reason for failure in answer.failures or []]
    return plain_map(answer.inputs or {})


async def test_check_completes_the_build(context: Path) -> None:
    built = (await check({"imageName": "a.test/p/i:1", "build": {"context": str(context)}}))["build"]
    assert built["dockerfile"] == str(context / "Dockerfile")
    assert built["platform"].startswith("linux/")
    assert built["contextDigest"] == digest(context, context / "Dockerfile")
    assert (
        "contextDigest" not in (await check({"imageName": UNKNOWN, "build": {"context": UNKNOWN}}))["build"]
    )


async def test_check_says_what_is_wrong(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(context.parent)
    with pytest.raises(ProviderError, match=f"Try {context.name}/deep/c.txt"):
        await check({"imageName": "a.test/i", "build": {"context": context.name, "dockerfile": "deep/c.txt"}})
    with pytest.raises(ProviderError, match="names no registry"):
        await check({"imageName": "library/i:1", "build": {"context": str(context)}})
    with pytest.raises(ProviderError, match="is no folder"):
        await check({"imageName": "a.test/i:1", "build": {"context": str(context / "none")}})
    with pytest.raises(ProviderError, match="builderVersion is Kit"):
        await check({"imageName": "a.test/i:1", "build": {"context": str(context), "builderVersion": "Kit"}})
    refused = await DockerProvider().check(
        rpc.CheckRequest(
            URN, {}, wrap_map({"imageName": "a.test/i", "build": {"cacheTo": "x"}, "tags": []}), b""
        )
    )
    assert [failure.property for failure in refused.failures or []] == ["tags", "build.cacheTo"]


async def test_what_is_a_change() -> None:
    base = {
        "imageName": "a.test/i:1",
        "build": {"contextDigest": "1", "args": {"A": "1"}},
        "registry": {"server": "a.test", "username": "u", "password": "1"},
    }

    async def diff(**news: Any) -> rpc.DiffResponse:
        state = {"__inputs": PropertyValue(wrap_map(base), is_secret=True)}
        return await DockerProvider().diff(rpc.DiffRequest(URN, "id", state, wrap_map({**base, **news}), []))

    assert not (await diff(registry={"server": "a.test", "username": "v", "password": "2"})).changes
    for news in (
        {"imageName": "a.test/i:2"},
        {"build": {"contextDigest": "2", "args": {"A": "1"}}},
        {"build": {"contextDigest": "1", "args": {"A": "2"}}},
        {"registry": {"server": "b.test"}},
    ):
        answer = await diff(**news)
        assert (answer.changes, answer.replaces) == (True, [])


@pytest.mark.parametrize(
    ("image", "bare"),
    [
        ("a.test:5000/p/i:1", "a.test:5000/p/i"),
        ("a.test:5000/i", "a.test:5000/i"),
        ("a.test/i@sha256:00", "a.test/i"),
    ],
)
def test_without_tag(image: str, bare: str) -> None:
    assert _without_tag(image) == bare


def test_the_failed_step_is_named() -> None:
    kit = "#5 [2/3] RUN false\n#5 ERROR: exit code: 1\n------\n > [2/3] RUN false:\n------\nfailed to solve\n"
    assert _step(kit) == " at [2/3] RUN false"
    assert _step("Step 1/2 : FROM a\nStep 2/2 : RUN false\n ---> Running\n") == " at Step 2/2 : RUN false"
    assert _step("Cannot connect") == ""


def test_a_password_is_not_in_a_traceback() -> None:
    assert "hunter2" not in repr(Login("a.test", "u", "hunter2"))
