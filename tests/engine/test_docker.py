"""docker.Image on the stand-in provider: a real build, a real push to a registry with a login."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from local.engine import EngineError, Stack
from tests.engine.conftest import Program

pytestmark = [pytest.mark.engine, pytest.mark.platform]


@pytest.fixture
def image(platform: Any) -> str:
    """A name that no other test has, without tag."""
    return f"{platform.harbor_registry}/library/engine-test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def write(platform: Any, image: str, program: Program, tmp_path: Path) -> Any:
    """``write(text, dockerfile=..., tag=..., password=..., more=...)`` makes the program and gives its stack."""
    context = tmp_path / "program" / "image"
    context.mkdir(parents=True)

    def make(
        text: str,
        *,
        dockerfile: str = "FROM scratch\nCOPY word /\n",
        tag: str = "1",
        password: str = "",
        more: str = "",
    ) -> Stack:
        (context / "Dockerfile").write_text(dockerfile)
        (context / ".dockerignore").write_text("*.log\n")
        (context / "word").write_text(text)
        stack = program(
            f"""
            import pulumi
            import pulumi_docker as docker
            p = docker.Provider("p", host="{platform.docker_host}")
            i = docker.Image("i", image_name="{image}:{tag}",
                build={{"context": "image", "dockerfile": "image/Dockerfile", "network": "host", "args": {{"A": "1"}}}},
                registry={{"server": "{platform.harbor_registry}", "username": "{platform.harbor_username}",
                          "password": pulumi.Config().require_secret("password")}}, {more}
                opts=pulumi.ResourceOptions(provider=p))
            pulumi.export("digest", i.repo_digest)
            pulumi.export("name", i.image_name)
            """
        )
        stack.set_config(secrets={"password": password or platform.harbor_password})
        return stack

    return make


def test_image_from_build_to_destroy(write: Any, image: str, tmp_path: Path, platform: Any) -> None:
    """Preview builds nothing, up pushes, an ignored file changes nothing, a change updates and gives a new digest."""
    stack = write("one")
    assert stack.preview().changes == {"create": 3}
    stack.up()
    first = stack.outputs()["digest"]
    assert re.fullmatch(re.escape(image) + r"@sha256:[0-9a-f]{64}", first)
    assert stack.up().changes == {}
    (tmp_path / "program/image/noise.log").write_text("ignored")
    assert stack.preview().changes == {}
    assert stack.refresh().changes == {}
    assert platform.harbor_password not in json.dumps(stack.export())

    stack = write("two")
    assert stack.preview().changes == {"update": 1}
    assert stack.outputs()["digest"] == first
    assert stack.up().changes == {"update": 1}
    second = stack.outputs()["digest"]
    assert second != first
    stack = write("two", tag="2")
    assert stack.up().changes == {"update": 1}
    assert stack.outputs()["digest"] == second
    assert stack.destroy().changes == {"delete": 3}


def test_failed_build_says_why(write: Any) -> None:
    with pytest.raises(EngineError) as failure:
        write("one", dockerfile="FROM scratch\nCOPY word /\nCOPY not-there /\n").up()
    assert "error reading build output" in str(failure.value)
    assert '"/not-there" not found' in str(failure.value)
    write("one").up()


def test_refused_push_keeps_the_old_image(write: Any) -> None:
    stack = write("one")
    stack.up()
    before = stack.outputs()["digest"]
    with pytest.raises(EngineError, match=r"error reading push output: .*(unauthorized|denied)") as failure:
        write("two", password="wrong-password").up()
    assert "wrong-password" not in str(failure.value)
    stack = write("two")
    assert stack.up().changes == {"update": 1}
    assert stack.outputs()["digest"] != before


def test_a_new_password_is_no_change(write: Any) -> None:
    write("one").up()
    assert write("one", password="another").preview().changes == {}


def test_without_push_and_in_preview_the_answer_is_an_image_id(write: Any) -> None:
    stack = write("one", more="skip_push=True, build_on_preview=True,")
    stack.preview()
    stack.up()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", stack.outputs()["digest"])


def test_missing_engine_fails_in_preview(program: Program) -> None:
    source = """
    import pulumi, pulumi_docker as docker
    p = docker.Provider("p", host="unix:///nowhere/docker.sock")
    docker.Image("i", image_name="a.test/b:1", build={"context": "."}, opts=pulumi.ResourceOptions(provider=p))
    """
    with pytest.raises(EngineError, match=r"failed to connect to any docker daemon"):
        program(source).preview()


def test_other_types_are_refused(program: Program, platform: Any) -> None:
    source = f"""
    import pulumi, pulumi_docker as docker
    p = docker.Provider("p", host="{platform.docker_host}")
    docker.Network("n", opts=pulumi.ResourceOptions(provider=p))
    """
    with pytest.raises(EngineError, match=r"docker:index/network:Network is not among the types"):
        program(source).preview()
