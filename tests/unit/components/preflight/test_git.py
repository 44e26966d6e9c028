"""The examples' repositories: each way in which one is missing has its sentence, key and remedy."""

from __future__ import annotations

import base64

import pytest

from components.preflight.git import git_check
from components.preflight.web import Deadline
from components.settings.examples import Repository
from tests.unit.components.preflight.conftest import Asked, Serve

COMMIT = b"1f" * 20
Reply = tuple[int, dict[str, str], bytes]


def line(content: bytes) -> bytes:
    """A pkt-line: https://git-scm.com/docs/protocol-common"""
    return b"%04x" % (len(content) + 4) + content


ADVERTISED = (
    line(b"# service=git-upload-pack\n") + b"0000"
    + line(COMMIT + b" HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/2.39\n")
    + line(COMMIT + b" refs/heads/main\n")
    + line(COMMIT + b" refs/tags/v1.0\n") + line(COMMIT + b" refs/tags/v1.0^{}\n")
    + b"0000"
)  # fmt: skip
TYPE = {"Content-Type": "application/x-git-upload-pack-advertisement"}


def server(asked: Asked) -> Reply:
    """Repositories `open` and `closed` (login git:right)."""
    if asked.path == "/team/open.git/info/refs?service=git-upload-pack":
        return 200, TYPE, ADVERTISED
    if asked.path == "/team/closed.git/info/refs?service=git-upload-pack":
        login = "Basic " + base64.b64encode(b"git:right").decode()
        return (200, TYPE, ADVERTISED) if asked.headers.get("authorization") == login else (401, {}, b"")
    if asked.path.startswith("/team/page.git"):
        return 200, {"Content-Type": "text/html"}, b"<html>"
    return (503 if asked.path.startswith("/team/ill.git") else 404), {}, b""


def say(repository: Repository, deadline: Deadline, ca: str, token: str = "") -> list[str]:
    return [str(fault) for fault in git_check(repository, token, ca).look(deadline)]


@pytest.mark.parametrize("ref", ["main", "v1.0"])
def test_all_is_well(serve: Serve, soon: Deadline, ca: str, ref: str) -> None:
    running = serve(server)
    assert say(Repository(url=f"{running.url}/team/open.git", ref=ref), soon, ca, "right") == []
    assert "authorization" not in running.asked[0].headers  # the token is for private ones


def test_with_a_login(serve: Serve, soon: Deadline, ca: str) -> None:
    repository = Repository(url=f"{serve(server).url}/team/closed.git", private=True)
    assert say(repository, soon, ca, "right") == []


@pytest.mark.parametrize(
    ("path", "change", "cause", "key"),
    [
        ("none", {}, "there is no such repository", "examples.repositories[].url"),
        ("closed", {}, "it is not there, or wants a login", "examples_token"),
        ("closed", {"private": True}, "it refuses the login of git", "examples_token"),
        ("page", {}, "what answers is no git repository over HTTPS", "examples.repositories[].url"),
        ("ill", {}, "it answers HTTP 503", "examples.repositories[].url"),
        ("open", {"ref": "mai"}, "it has no branch or tag mai", "examples.repositories[].ref"),
    ],
)
def test_missing(
    serve: Serve, soon: Deadline, ca: str, path: str, change: dict[str, object], cause: str, key: str
) -> None:
    url = f"{serve(server).url}/team/{path}.git"
    (sentence,) = say(Repository.model_validate({"url": url, **change}), soon, ca, "wrong")
    tried = f"(tried GET {url}/info/refs?service=git-upload-pack)"
    assert sentence.startswith(f"Examples repository: {cause} {tried}; ")
    assert key in sentence
    assert "wrong" not in sentence


def test_stopped(soon: Deadline, closed_port: int, ca: str) -> None:
    (sentence,) = say(Repository(url=f"https://localhost:{closed_port}/team/open.git"), soon, ca)
    assert "the connection is refused" in sentence
    assert "examples.repositories[].url" in sentence


def test_a_certificate_that_is_not_trusted(serve: Serve, soon: Deadline) -> None:
    (sentence,) = say(Repository(url=f"{serve(server).url}/team/open.git"), soon, "")
    assert "its certificate is not trusted" in sentence
    assert "examples.caBundle" in sentence
