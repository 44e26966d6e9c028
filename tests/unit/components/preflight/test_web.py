"""Requests: the ways to fail are told apart, trust and proxies are what the stack and the environment say."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from components.preflight.web import Deadline, Unanswered, ask, proxy_of, trust
from local.pki import Authority
from tests.unit.components.preflight.conftest import Asked, Serve


def hello(asked: Asked) -> tuple[int, dict[str, str], bytes]:
    return 200, {"X-Word": "yes"}, asked.body or b"hello"


def failure(url: str, deadline: Deadline, **options: object) -> Unanswered:
    with pytest.raises(Unanswered) as caught:
        ask(url, deadline, **options)  # type: ignore[arg-type]
    return caught.value


class TestWaysToFail:
    def test_a_name_that_does_not_resolve(self, soon: Deadline) -> None:
        error = failure("https://nowhere.invalid/x", soon)
        assert (error.kind, str(error)) == ("name", "the name nowhere.invalid does not resolve")

    def test_a_port_where_nothing_listens(self, soon: Deadline, closed_port: int) -> None:
        assert failure(f"https://localhost:{closed_port}/", soon).kind == "refused"

    def test_a_server_that_never_answers(self, silent_port: int) -> None:
        started = time.monotonic()
        assert failure(f"https://127.0.0.1:{silent_port}/", Deadline(0.3)).kind == "timeout"
        assert failure(f"http://127.0.0.1:{silent_port}/", Deadline(0.3)).kind == "timeout"
        assert time.monotonic() - started < 2

    def test_a_certificate_of_an_unknown_authority(self, serve: Serve, soon: Deadline) -> None:
        error = failure(serve(hello).url, soon)
        assert error.kind == "certificate"
        assert str(error).startswith("its certificate is not trusted (unable to get")

    def test_a_certificate_for_another_name(self, serve: Serve, soon: Deadline, ca: str) -> None:
        error = failure(serve(hello, host="other.example.org").url, soon, context=trust(ca))
        assert error.kind == "certificate"
        assert "Hostname mismatch" in str(error)
        assert "_ssl.c" not in str(error)

    def test_no_tls_at_all(self, serve: Serve, soon: Deadline) -> None:
        url = serve(hello, tls=False).url.replace("http:", "https:")
        assert failure(url, soon).kind == "tls"

    def test_not_http(self, soon: Deadline) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)

            def talk() -> None:
                connection, _ = listener.accept()
                connection.recv(100)
                connection.sendall(b"220 smtp.example.org\r\n")
                connection.close()

            threading.Thread(target=talk, daemon=True).start()
            assert failure(f"http://127.0.0.1:{listener.getsockname()[1]}/", soon).kind == "network"


class TestTrust:
    def test_a_bundle(self, serve: Serve, soon: Deadline, ca: str) -> None:
        answer = ask(serve(hello).url, soon, context=trust(ca, system=False))
        assert (answer.status, answer.headers["x-word"], answer.body) == (200, "yes", b"hello")

    def test_ssl_cert_file_is_the_systems(self, serve: Serve, soon: Deadline, trusting: Path) -> None:
        url = serve(hello).url
        assert ask(url, soon).status == 200
        assert ask(url, soon, context=trust("", system=True)).status == 200

    def test_without_the_system_only_the_bundle_counts(
        self, serve: Serve, soon: Deadline, trusting: Path, tmp_path: Path
    ) -> None:
        other = Authority(tmp_path, "other")
        other.ensure()
        url = serve(hello).url
        assert (
            failure(url, soon, context=trust(other.cert_file.read_text(), system=False)).kind == "certificate"
        )
        assert ask(url, soon, context=trust(other.cert_file.read_text())).status == 200

    def test_text_that_is_no_certificate(self) -> None:
        with pytest.raises(ValueError, match="no certificate can be read"):
            trust("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")

    def test_a_system_without_a_store_has_a_bundle(
        self, serve: Serve, soon: Deadline, monkeypatch: pytest.MonkeyPatch, trusting: Path, tmp_path: Path
    ) -> None:
        """Portable builds of Python look for the CAs where nothing is."""
        monkeypatch.setattr("components.preflight.web._BUNDLES", (str(tmp_path / "none"), str(trusting)))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
        assert ask(serve(hello).url, soon).status == 200

    def test_another_name_by_server_name(self, serve: Serve, soon: Deadline, ca: str) -> None:
        url = serve(hello, host="kubernetes.example.org").url
        answer = ask(url, soon, context=trust(ca), server_name="kubernetes.example.org")
        assert answer.status == 200


class TestRedirects:
    def test_headers_stay_behind(self, serve: Serve, soon: Deadline) -> None:
        end = serve(hello, tls=False)
        start = serve(lambda asked: (302, {"Location": f"{end.url}/there"}, b""), tls=False)
        assert ask(start.url, soon, headers={"Authorization": "Bearer word"}).status == 200
        assert start.asked[0].headers["authorization"] == "Bearer word"
        assert "authorization" not in end.asked[0].headers

    def test_never_to_plain_http_and_never_with_a_form(self, serve: Serve, soon: Deadline, ca: str) -> None:
        end = serve(hello, tls=False)
        start = serve(lambda asked: (302, {"Location": end.url}, b""))
        assert ask(start.url, soon, context=trust(ca)).status == 302
        assert ask(start.url, soon, context=trust(ca), data=b"password=word").status == 302
        assert end.asked == []

    def test_a_form_is_posted(self, serve: Serve, soon: Deadline) -> None:
        server = serve(lambda asked: (400, {}, asked.body), tls=False)
        answer = ask(server.url, soon, data=b"a=b")
        assert (answer.status, answer.body, server.asked[0].method) == (400, b"a=b", "POST")


class TestProxy:
    def test_plain_http_goes_through_it(self, serve: Serve, soon: Deadline) -> None:
        proxy = serve(lambda asked: (200, {}, asked.path.encode()), tls=False)
        answer = ask("http://control.invalid/api", soon, proxy=proxy.url)
        assert answer.body == b"http://control.invalid/api"

    @pytest.mark.parametrize(
        ("url", "no_proxy", "through"),
        [
            ("https://auth.example.org", "", True),
            ("https://auth.example.org", "example.org", False),
            ("https://auth.example.org", ".example.org", False),
            ("https://auth.example.org:8443", "example.org:443", True),
            ("https://notexample.org", "example.org", True),
            ("https://10.1.2.3:6443", "10.0.0.0/8", False),
            ("https://11.1.2.3:6443", "10.0.0.0/8,192.168.1.1", True),
            ("https://auth.example.org", "*", False),
            ("https://localhost:6443", "", False),
            ("https://127.0.0.1:6443", "", False),
            ("http://auth.example.org", "", False),  # that has a variable of its own
        ],
    )
    def test_the_environment_s_as_go_reads_it(self, url: str, no_proxy: str, through: bool) -> None:
        environment = {"HTTPS_PROXY": "proxy.example.org:3128", "NO_PROXY": no_proxy}
        assert proxy_of(url, environment) == ("http://proxy.example.org:3128" if through else None)
