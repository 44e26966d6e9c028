"""Logging in to a cluster as kubectl does, seen from the API server that is asked."""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.preflight import kube_login
from components.preflight.kube_api import Api, ApiError, Denied
from components.preflight.kubeconfig import Choice
from components.preflight.web import Deadline
from local.pki import Authority
from tests.unit.components.preflight.conftest import Asked, Serve, Server


def node(asked: Asked) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"kind": "Node", "metadata": {"name": "n"}}).encode()


def api(server: Server, user: dict[str, Any], deadline: Deadline, **cluster: Any) -> Api:
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server.url, **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    return Api(Choice(yaml.safe_dump(content)), deadline)


def look(server: Server, user: dict[str, Any], deadline: Deadline, **cluster: Any) -> Asked:
    """The request as the API server got it."""
    assert api(server, user, deadline, **cluster).get("v1", "nodes", "n") is not None
    return server.asked[-1]


def plugin(folder: Path, source: str) -> dict[str, Any]:
    """An exec entry that runs this Python source."""
    script = folder / "plugin.py"
    script.write_text(source)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(script)],
            "env": [{"name": "WORD", "value": "from-the-kubeconfig"}],
            "interactiveMode": "IfAvailable",
        }
    }


PRINT_TOKEN = """
import json, os, sys
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert info["spec"]["interactive"] is False, info
assert sys.stdin.read() == ""
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": {"token": os.environ["WORD"]}}))
"""


class TestWays:
    def test_token(self, serve: Serve, soon: Deadline, ca_data: str) -> None:
        asked = look(serve(node), {"token": "word"}, soon, **{"certificate-authority-data": ca_data})
        assert (asked.path, asked.headers["authorization"]) == ("/api/v1/nodes/n", "Bearer word")

    def test_token_file_and_ca_file(
        self, serve: Serve, soon: Deadline, tmp_path: Path, authority: Authority
    ) -> None:
        (tmp_path / "token").write_text("word\n")
        user = {"tokenFile": str(tmp_path / "token"), "token": "older"}
        asked = look(serve(node), user, soon, **{"certificate-authority": str(authority.cert_file)})
        assert asked.headers["authorization"] == "Bearer word"

    @pytest.mark.parametrize("form", ["file", "data"])
    def test_client_certificate(
        self, serve: Serve, soon: Deadline, ca_data: str, authority: Authority, form: str
    ) -> None:
        cert, key = authority.issue("admin", common_name="kubernetes-admin")
        user = {"client-certificate": str(cert), "client-key": str(key)}
        if form == "data":
            user = {
                f"{name}-data": base64.b64encode(Path(path).read_bytes()).decode()
                for name, path in user.items()
            }
        asked = look(serve(node, clients=True), user, soon, **{"certificate-authority-data": ca_data})
        assert asked.subject == "kubernetes-admin"

    def test_password_and_impersonation(self, serve: Serve, soon: Deadline, ca_data: str) -> None:
        user = {"username": "ada", "password": "word", "as": "bob", "as-groups": ["team"]}
        asked = look(serve(node), user, soon, **{"certificate-authority-data": ca_data})
        assert asked.headers["authorization"] == f"Basic {base64.b64encode(b'ada:word').decode()}"
        assert (asked.headers["impersonate-user"], asked.headers["impersonate-group"]) == ("bob", "team")

    def test_plugin(self, serve: Serve, soon: Deadline, ca_data: str, tmp_path: Path) -> None:
        asked = look(
            serve(node), plugin(tmp_path, PRINT_TOKEN), soon, **{"certificate-authority-data": ca_data}
        )
        assert asked.headers["authorization"] == "Bearer from-the-kubeconfig"

    def test_plugin_that_is_told_the_cluster_and_gives_a_certificate(
        self, serve: Serve, soon: Deadline, ca_data: str, tmp_path: Path, authority: Authority
    ) -> None:
        cert, key = authority.issue("plugged", common_name="plugged-in")
        user = plugin(
            tmp_path,
            f"""
import json, os, pathlib
cluster = json.loads(os.environ["KUBERNETES_EXEC_INFO"])["spec"]["cluster"]
assert cluster["server"].startswith("https://localhost") and cluster["certificate-authority-data"], cluster
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": {{
    "clientCertificateData": pathlib.Path({str(cert)!r}).read_text(),
    "clientKeyData": pathlib.Path({str(key)!r}).read_text()}}}}))
""",
        )
        user["exec"]["provideClusterInfo"] = True
        asked = look(serve(node, clients=True), user, soon, **{"certificate-authority-data": ca_data})
        assert asked.subject == "plugged-in"

    def test_a_retired_provider_s_token_is_read(self, serve: Serve, soon: Deadline, ca_data: str) -> None:
        user = {"auth-provider": {"name": "oidc", "config": {"id-token": "word"}}}
        asked = look(serve(node), user, soon, **{"certificate-authority-data": ca_data})
        assert asked.headers["authorization"] == "Bearer word"

    def test_server_name_proxy_and_plain_http(self, serve: Serve, soon: Deadline, ca_data: str) -> None:
        server = serve(node, host="kubernetes")
        look(server, {}, soon, **{"certificate-authority-data": ca_data, "tls-server-name": "kubernetes"})
        proxy = serve(node, tls=False)
        inside = Server("http://api.invalid:6443", 0, proxy.asked)
        assert (
            look(inside, {}, soon, **{"proxy-url": proxy.url}).path
            == "http://api.invalid:6443/api/v1/nodes/n"
        )

    def test_skipping_verification_is_the_admin_s_choice(self, serve: Serve, soon: Deadline) -> None:
        assert look(serve(node), {"token": "word"}, soon, **{"insecure-skip-tls-verify": True})


class TestFaults:
    """An API that cannot be asked is one sentence, with the context and what to do."""

    def fault(self, server: Server, user: dict[str, Any], deadline: Deadline, **cluster: Any) -> ApiError:
        with pytest.raises(ApiError) as error:
            api(server, user, deadline, **cluster).get("v1", "nodes", "n")
        return error.value

    def test_untrusted(self, serve: Serve, soon: Deadline) -> None:
        error = self.fault(serve(node), {"token": "word"}, soon)
        assert "its certificate is not trusted" in str(error)
        assert "certificate-authority" in error.remedy

    def test_stopped(self, soon: Deadline, closed_port: int) -> None:
        error = self.fault(Server(f"https://localhost:{closed_port}", closed_port), {}, soon)
        assert "refused" in str(error)
        assert error.tried == f"https://localhost:{closed_port}"
        assert "config key kubernetes:context" in error.remedy

    @pytest.mark.parametrize(
        ("status", "body", "cause"),
        [
            (401, b"{}", "the login is refused (config key kubernetes:kubeconfig, context c)"),
            (500, b'{"message": "etcd is away."}', "it answers HTTP 500 (etcd is away)"),
            (200, b"<html>", "it answers HTTP 200"),
        ],
    )
    def test_wrong_answers(self, serve: Serve, soon: Deadline, status: int, body: bytes, cause: str) -> None:
        server = serve(lambda asked: (status, {}, body), tls=False)
        assert str(self.fault(server, {}, soon)) == cause

    def test_denied(self, serve: Serve, soon: Deadline) -> None:
        server = serve(lambda asked: (403, {}, b"{}"), tls=False)
        with pytest.raises(Denied, match=r"^get csidrivers.storage.k8s.io$"):
            api(server, {}, soon).get("storage.k8s.io/v1", "csidrivers", "x")
        with pytest.raises(Denied, match=r"^list services in namespace n$"):
            api(server, {}, soon).list("v1", "services", "n")

    def test_both_a_ca_and_none(self, serve: Serve, soon: Deadline, ca_data: str) -> None:
        options = {"certificate-authority-data": ca_data, "insecure-skip-tls-verify": True}
        assert "both a certificate-authority and insecure" in str(
            self.fault(serve(node), {}, soon, **options)
        )

    def test_material_that_does_not_fit(
        self, serve: Serve, soon: Deadline, ca_data: str, authority: Authority
    ) -> None:
        cert, _ = authority.issue("one", common_name="one")
        _, key = authority.issue("two", common_name="two")
        user = {"client-certificate": str(cert), "client-key": str(key)}
        error = self.fault(serve(node), user, soon, **{"certificate-authority-data": ca_data})
        assert "do not fit together" in str(error)
        bad = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()
        assert "no certificate can be read" in str(
            self.fault(serve(node), {}, soon, **{"certificate-authority-data": bad})
        )
        assert "token file /nowhere" in str(self.fault(serve(node), {"tokenFile": "/nowhere"}, soon))

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("import sys; print('log in first', file=sys.stderr); sys.exit(3)", "ends with code 3: log in first"),
            ("print('token')", "prints no ExecCredential"),
            ('print(\'{"apiVersion": "v1", "kind": "X", "status": {}}\')', "prints no ExecCredential"),
        ],
    )  # fmt: skip
    def test_a_plugin_that_fails(
        self, serve: Serve, soon: Deadline, tmp_path: Path, source: str, expected: str
    ) -> None:
        user = plugin(tmp_path, source)
        user["exec"]["installHint"] = "Get it from\n  example.org"
        error = self.fault(serve(node), user, soon)
        assert expected in str(error)
        assert error.remedy == "Get it from example.org"

    def test_a_plugin_that_hangs_is_ended(
        self, serve: Serve, soon: Deadline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kube_login, "PLUGIN_SECONDS", 0.5)
        started = time.monotonic()
        error = self.fault(serve(node), plugin(tmp_path, "import time; time.sleep(60)"), soon)
        assert "does not end within" in str(error)
        assert time.monotonic() - started < 10

    def test_a_plugin_that_cannot_be_run(self, serve: Serve, soon: Deadline) -> None:
        error = self.fault(serve(node), {"exec": {"command": "no-such-plugin"}}, soon)
        assert "no-such-plugin of the kubeconfig cannot be run" in str(error)
        error = self.fault(serve(node), {"exec": {"command": "x", "interactiveMode": "Always"}}, soon)
        assert "asks on a terminal" in str(error)

    def test_no_kubeconfig(self, soon: Deadline) -> None:
        with pytest.raises(ApiError, match="neither a kubeconfig nor the path"):
            Api(Choice("/nowhere/config"), soon)


@pytest.fixture
def ca_data(ca: str) -> str:
    return base64.b64encode(ca.encode()).decode()
