"""Real servers on loopback, with certificates of an authority of their own, that answer as a test says."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from components.preflight.web import Deadline
from local.pki import Authority

Handle = Callable[["Asked"], tuple[int, dict[str, str], bytes]]


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    subject: str
    """of the client's certificate, "" without one"""


@dataclass
class Server:
    """A running server: where it is, and what it was asked."""

    url: str
    port: int
    asked: list[Asked] = field(default_factory=list)


Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that no system trusts."""
    made = Authority(tmp_path_factory.mktemp("ca"), "ca")
    made.ensure()
    return made


@pytest.fixture
def ca(authority: Authority) -> str:
    """The CA's certificate."""
    return authority.cert_file.read_text()


@pytest.fixture
def serve(authority: Authority) -> Iterator[Serve]:
    """``serve(handle, tls=..., host=..., client_ca=...)`` starts a server; handle gives (status, headers, body)."""
    running: list[http.server.ThreadingHTTPServer] = []

    def start(handle: Handle, *, tls: bool = True, host: str = "localhost", clients: bool = False) -> Server:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(handle))
        known = Server(f"http{'s' if tls else ''}://localhost:{server.server_port}", server.server_port)
        server.asked = known.asked  # type: ignore[attr-defined]
        if tls:
            cert, key = authority.issue(host, common_name=host, hosts=[host])
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(cert, key)
            if clients:
                context.verify_mode = ssl.CERT_OPTIONAL
                context.load_verify_locations(authority.cert_file)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return known

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def _handler(handle: Handle) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            certificate: Any = getattr(self.connection, "getpeercert", dict)() or {}
            subject = dict(pair for names in certificate.get("subject", ()) for pair in names)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body, str(subject.get("commonName", "")))
            self.server.asked.append(asked)  # type: ignore[attr-defined]
            status, headers, content = handle(asked)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def closed_port() -> int:
    """A port of loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


@pytest.fixture
def trusting(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The CA is one of the system's, by SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert_file))
    return authority.cert_file


@pytest.fixture
def soon() -> Deadline:
    """A deadline that answers on loopback keep, whatever else the machine does."""
    return Deadline(30)
