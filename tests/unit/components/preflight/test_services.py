"""Keycloak, the registry and Docker: each way in which one of them is missing has its sentence, key and remedy."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from components.preflight.docker import docker_check
from components.preflight.keycloak import Keycloak, keycloak_check
from components.preflight.registry import Registry, registry_check
from components.preflight.web import Deadline
from local.pki import Authority
from tests.unit.components.preflight.conftest import Asked, Serve

MASTER = "/realms/master/.well-known/openid-configuration"
Reply = tuple[int, dict[str, str], bytes]


class FakeKeycloak:
    """Realms master and thinkube; the admin's password is `right`. `override` answers a path otherwise."""

    def __init__(self) -> None:
        self.override: dict[str, Reply] = {}

    def __call__(self, asked: Asked) -> Reply:
        if asked.path in self.override:
            return self.override[asked.path]
        if asked.path == "/realms/master/protocol/openid-connect/token":
            form = {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}
            assert form["client_id"] == "admin-cli"
            if (form["username"], form["password"]) == ("admin", "right & good"):
                return 200, {}, b'{"access_token": "x"}'
            return 401, {}, b'{"error": "invalid_grant", "error_description": "Invalid user credentials"}'
        if asked.path in (MASTER, "/realms/thinkube/.well-known/openid-configuration"):
            return 200, {}, b'{"issuer": "https://auth"}'
        return 404, {}, b'{"error": "Realm does not exist"}'


class TestKeycloak:
    def args(self, url: str, ca: str = "") -> Keycloak:
        return Keycloak(
            url, "thinkube", create_realm=False, ca_bundle=ca, username="admin", password="right & good"
        )

    def say(self, args: Keycloak, deadline: Deadline) -> list[str]:
        return [str(fault) for fault in keycloak_check(args).look(deadline)]

    def test_all_is_well(self, serve: Serve, soon: Deadline, ca: str) -> None:
        server = serve(FakeKeycloak())
        assert self.say(self.args(server.url, ca), soon) == []
        assert len(server.asked) == 3
        assert self.say(replace(self.args(server.url, ca), create_realm=True, realm="new"), soon) == []

    def test_by_the_system_s_trust(self, serve: Serve, soon: Deadline, trusting: Path) -> None:
        assert self.say(self.args(serve(FakeKeycloak()).url), soon) == []

    def test_stopped(self, soon: Deadline, closed_port: int, ca: str) -> None:
        url = f"https://localhost:{closed_port}"
        assert self.say(self.args(url, ca), soon) == [
            f"Keycloak: the connection is refused, nothing listens there (tried GET {url}{MASTER}); "
            "start it and see that it is reached from here, or correct the config key identity.url"
        ]

    def test_a_name_that_does_not_resolve(self, soon: Deadline) -> None:
        (sentence,) = self.say(self.args("https://auth.invalid"), soon)
        assert sentence.startswith("Keycloak: the name auth.invalid does not resolve")
        assert "config key identity.url" in sentence

    def test_a_certificate_that_is_not_trusted(
        self, serve: Serve, soon: Deadline, tmp_path: Path, trusting: Path
    ) -> None:
        url = serve(FakeKeycloak()).url
        other = Authority(tmp_path, "other")
        other.ensure()
        # the provider and the hub trust nothing but the bundle where there is one, whatever the system trusts
        (sentence,) = self.say(self.args(url, other.cert_file.read_text()), soon)
        assert "its certificate is not trusted" in sentence
        assert "replace the config key identity.caBundle" in sentence

    def test_a_private_ca_without_bundle(self, serve: Serve, soon: Deadline) -> None:
        (sentence,) = self.say(self.args(serve(FakeKeycloak()).url), soon)
        assert "put the private CA that signed it into the config key identity.caBundle" in sentence

    def test_a_bundle_without_certificate(self, soon: Deadline) -> None:
        (sentence,) = self.say(self.args("https://auth.invalid", "-----BEGIN CERTIFICATE-----\n"), soon)
        assert sentence.startswith("Keycloak: config key identity.caBundle: no certificate can be read")

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            ((503, {}, b""), "it answers HTTP 503"),
            ((404, {}, b""), "nothing is at this path (HTTP 404)"),
            ((200, {}, b"<html>"), "what answers is no Keycloak (HTTP 200"),
            ((200, {}, b"[1]"), "what answers is no Keycloak (HTTP 200"),
        ],
    )
    def test_something_else_answers(
        self, serve: Serve, soon: Deadline, ca: str, reply: Reply, expected: str
    ) -> None:
        fake = FakeKeycloak()
        fake.override[MASTER] = reply
        (sentence,) = self.say(self.args(serve(fake).url, ca), soon)
        assert sentence.startswith(f"Keycloak: {expected}")
        assert "config key identity.url" in sentence

    def test_wrong_password_and_wrong_realm_are_said_both(
        self, serve: Serve, soon: Deadline, ca: str
    ) -> None:
        url = serve(FakeKeycloak()).url
        login, realm = self.say(replace(self.args(url, ca), password="hunter2", realm="thinkub"), soon)
        assert (
            "refuses the login of the admin admin in realm master (HTTP 401, Invalid user credentials)"
            in login
        )
        assert "config keys keycloak_admin_username and keycloak_admin_password" in login
        assert "hunter2" not in login
        assert realm.startswith("Keycloak: it has no realm thinkub (tried GET ")
        assert "config key identity.realm" in realm


class FakeRegistry:
    """Login robot$x / right; tokens as Harbor gives them when `bearer` is set."""

    def __init__(self, *, bearer: bool = False, granted: object = None) -> None:
        self.bearer = bearer
        self.granted = granted
        self.realm = ""

    def __call__(self, asked: Asked) -> Reply:
        good = asked.headers.get("authorization") == f"Basic {base64.b64encode(b'robot$x:right').decode()}"
        path, query = urlsplit(asked.path).path, parse_qs(urlsplit(asked.path).query)
        if path == "/service/token":
            assert query == {"scope": ["repository:library/tk:pull,push"], "service": ["harbor"]}
            claims = (
                base64.urlsafe_b64encode(json.dumps({"access": self.granted}).encode()).decode().rstrip("=")
            )
            return (200 if good else 401), {}, json.dumps({"token": f"head.{claims}.tail"}).encode()
        if good and not self.bearer:
            return 200, {}, b"{}"
        challenge = f'Bearer realm="{self.realm}",service="harbor"' if self.bearer else 'Basic realm="harbor"'
        return 401, {"WWW-Authenticate": challenge}, b"{}"


class TestRegistry:
    def args(self, port: int, ca: str, word: str = "right") -> Registry:
        return Registry(f"localhost:{port}", "robot$x", word, "library/tk", ["pull", "push"], ca)

    def say(self, args: Registry, deadline: Deadline) -> list[str]:
        return [str(fault) for fault in registry_check(args).look(deadline)]

    def bearer(self, serve: Serve, granted: object) -> int:
        fake = FakeRegistry(bearer=True, granted=granted)
        server = serve(fake)
        fake.realm = f"{server.url}/service/token"
        return server.port

    def test_basic(self, serve: Serve, soon: Deadline, ca: str) -> None:
        port = serve(FakeRegistry()).port
        assert self.say(self.args(port, ca), soon) == []
        assert self.say(self.args(port, ca, "hunter2"), soon) == [
            f"Registry: it refuses the login of robot$x, HTTP 401 (tried GET https://localhost:{port}/v2/); correct "
            "the config keys harbor_robot_username and harbor_robot_token (or HARBOR_ROBOT_TOKEN)"
        ]

    @pytest.mark.parametrize(
        "granted",
        [
            [{"type": "repository", "name": "library/tk", "actions": ["pull", "push", "delete"]}],
            [{"type": "repository", "name": "library/tk", "actions": ["*"]}],
            "not to be read",
        ],
    )
    def test_bearer(self, serve: Serve, soon: Deadline, ca: str, granted: object) -> None:
        assert self.say(self.args(self.bearer(serve, granted), ca), soon) == []

    def test_bearer_with_a_wrong_token(self, serve: Serve, soon: Deadline, ca: str) -> None:
        (sentence,) = self.say(self.args(self.bearer(serve, []), ca, "hunter2"), soon)
        assert "it refuses the login of robot$x, HTTP 401" in sentence
        assert "harbor_robot_token" in sentence

    def test_a_robot_that_may_only_pull(self, serve: Serve, soon: Deadline, ca: str) -> None:
        granted = [{"type": "repository", "name": "library/tk", "actions": ["pull"]}]
        (sentence,) = self.say(self.args(self.bearer(serve, granted), ca), soon)
        assert "robot$x may not push library/tk" in sentence
        assert "config keys harbor_project and harbor_robot_username" in sentence

    def test_a_login_in_clear_is_refused(self, serve: Serve, soon: Deadline, ca: str) -> None:
        fake = FakeRegistry(bearer=True)
        fake.realm = "http://localhost/service/token"
        (sentence,) = self.say(self.args(serve(fake).port, ca), soon)
        assert "sends logins to http://localhost/service/token, which is not HTTPS" in sentence

    def test_one_that_is_open(self, serve: Serve, soon: Deadline, ca: str) -> None:
        assert self.say(self.args(serve(lambda asked: (200, {}, b"{}")).port, ca), soon) == []

    @pytest.mark.parametrize("status", [404, 502])
    def test_something_else_answers(self, serve: Serve, soon: Deadline, ca: str, status: int) -> None:
        (sentence,) = self.say(self.args(serve(lambda asked: (status, {}, b"")).port, ca), soon)
        assert f"Registry: it answers HTTP {status} instead of 200 or 401" in sentence
        assert "config key harbor_registry" in sentence

    def test_stopped(self, soon: Deadline, ca: str, closed_port: int) -> None:
        (sentence,) = self.say(self.args(closed_port, ca), soon)
        assert sentence.startswith("Registry: the connection is refused")

    def test_docker_s_certificates_count(
        self,
        serve: Serve,
        soon: Deadline,
        authority: Authority,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("components.preflight.registry.CERTIFICATES", tmp_path)
        port = serve(FakeRegistry()).port
        (sentence,) = self.say(self.args(port, ""), soon)
        assert f"put its CA into {tmp_path}/localhost:{port}/ca.crt" in sentence
        (tmp_path / f"localhost:{port}").mkdir()
        (tmp_path / f"localhost:{port}" / "ca.crt").write_bytes(authority.cert_file.read_bytes())
        assert self.say(self.args(port, ""), soon) == []


class TestDocker:
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[str]:
        """An engine's socket that answers a ping."""

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                assert self.rfile.readline().startswith(b"GET /_ping ")
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

        with socketserver.ThreadingUnixStreamServer(str(tmp_path / "docker.sock"), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            yield f"unix://{tmp_path}/docker.sock"
            server.shutdown()

    def say(self, host: str, environment: dict[str, str], deadline: Deadline) -> list[str]:
        check = docker_check(host, environment)
        assert check is not None
        return [str(fault) for fault in check.look(deadline)]

    def test_config_before_environment(self, engine: str, soon: Deadline) -> None:
        assert self.say(engine, {"DOCKER_HOST": "unix:///nowhere"}, soon) == []
        assert self.say("", {"DOCKER_HOST": engine}, soon) == []
        (sentence,) = self.say("unix:///nowhere", {"DOCKER_HOST": engine}, soon)
        assert sentence == (
            "Docker: no engine answers: there is no such socket (tried unix:///nowhere); start it, or correct the "
            "config key images.dockerHost (or DOCKER_HOST); mode prebuilt needs none"
        )

    def test_docker_desktop(
        self, engine: str, soon: Deadline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("components.preflight.docker._SYSTEM", f"unix://{tmp_path}/none")
        home = {"HOME": str(tmp_path)}
        assert ".docker/run/docker.sock" in self.say("", home, soon)[0]
        (tmp_path / ".docker" / "desktop").mkdir(parents=True)
        (tmp_path / ".docker" / "desktop" / "docker.sock").symlink_to(tmp_path / "docker.sock")
        assert self.say("", home, soon) == []

    def test_over_the_network(self, serve: Serve, soon: Deadline, closed_port: int) -> None:
        server = serve(lambda asked: (200, {}, b"OK"), tls=False)
        assert self.say(f"tcp://localhost:{server.port}", {}, soon) == []
        assert "refused" in self.say(f"tcp://localhost:{closed_port}", {}, soon)[0]
        other = serve(lambda asked: (404, {}, b""), tls=False)
        assert "no Docker engine (HTTP 404)" in self.say(f"tcp://localhost:{other.port}", {}, soon)[0]

    def test_with_certificates(
        self, serve: Serve, soon: Deadline, tmp_path: Path, authority: Authority
    ) -> None:
        cert, key = authority.issue("docker", common_name="docker-client")
        for name, source in (("ca.pem", authority.cert_file), ("cert.pem", cert), ("key.pem", key)):
            (tmp_path / name).write_bytes(source.read_bytes())
        server = serve(lambda asked: (200, {}, asked.subject.encode()), clients=True)
        assert self.say(f"tcp://localhost:{server.port}", {"DOCKER_CERT_PATH": str(tmp_path)}, soon) == []
        assert server.asked[0].subject == "docker-client"

    def test_ssh_is_the_provider_s(self) -> None:
        assert docker_check("ssh://builder", {}) is None
