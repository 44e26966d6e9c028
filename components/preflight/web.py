"""One HTTP request with a deadline, and why it failed told apart: the name, the port, the certificate, the time.

Owns proxies, trust and the words for what went wrong on the way. Leaves alone: what an answer means. Proxies are those
of the environment, by the rules of Go's programs (which the providers are): NO_PROXY knows networks, and loopback is
never asked for through a proxy.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SECONDS = 5.0
"""What a check may take: `pulumi preview` is to say within about six seconds what hangs."""

LIMIT = 4_000_000
"""Bytes of an answer that are read: none that is asked for is larger."""

# Where a Python that was built elsewhere finds no CA at all (macOS, portable builds), one of these is the system's.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class Unanswered(Exception):
    """No answer over HTTP: `kind` says in which of the ways, the text is the cause as the end of a sentence."""

    def __init__(self, kind: str, cause: str) -> None:
        super().__init__(cause)
        self.kind = kind
        """name, refused, timeout, certificate, tls or network"""


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Deadline:
    """A moment up to which one check waits for answers."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.restart(seconds)

    def restart(self, seconds: float = SECONDS) -> None:
        """From now on it is `seconds` away: something that has a limit of its own begins, or has ended."""
        self._moment = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then, never zero: as a socket's timeout that would mean "do not block"."""
        return max(0.05, self._moment - time.monotonic())

    def is_over(self, grace: float = 0) -> bool:
        """Whether it was `grace` seconds ago."""
        return time.monotonic() > self._moment + grace


def trust(pem: str = "", *, system: bool = True) -> ssl.SSLContext:
    """A TLS context that trusts the certificates in `pem`, and the system's (SSL_CERT_FILE is honoured) if `system`.

    Raises ValueError if `pem` holds no certificate that can be read.
    """
    if pem:
        try:
            context = ssl.create_default_context(cadata=pem)
        except ssl.SSLError as error:
            raise ValueError(f"no certificate can be read from it ({error.reason or error})") from None
        if system:
            context.load_default_certs()
    else:
        context = ssl.create_default_context()
    if system and not context.cert_store_stats()["x509_ca"]:
        _load_system_bundle(context)
    # as Go does, and with it the providers: an intermediate may be the root of trust, and odd old CAs pass
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _load_system_bundle(context: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())):
        return  # folders are read as certificates are needed: an empty store says nothing about them
    for bundle in _BUNDLES:
        if Path(bundle).is_file():
            context.load_verify_locations(bundle)
            return


def ask(
    url: str,
    deadline: Deadline,
    *,
    context: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    proxy: str | None = None,
    server_name: str | None = None,
) -> Answer:
    """GET `url`, or POST `data` to it; an answer of any status is an Answer. Raises Unanswered.

    Redirects are followed without `headers` (they may be credentials). `proxy` replaces the environment's;
    `server_name` is what the certificate must be for, where that is not the URL's host.
    """
    parts = urlsplit(url)
    chosen = proxy or proxy_of(url)
    proxies = urllib.request.ProxyHandler({parts.scheme: chosen} if chosen else {})
    opener = urllib.request.build_opener(proxies, _Https(context or trust(), server_name), _Redirects())
    request = urllib.request.Request(url, data=data)  # noqa: S310 (http and https only: settings and kubeconfig)
    for name, value in (headers or {}).items():
        request.add_unredirected_header(name, value)
    try:
        try:
            with opener.open(request, timeout=deadline.left()) as answer:
                return _answer(answer)
        except urllib.error.HTTPError as answer:
            with answer:
                return _answer(answer)
    except urllib.error.URLError as error:
        reason = error.reason if isinstance(error.reason, Exception) else OSError(str(error.reason))
        raise unanswered(reason, parts.hostname or "") from None
    except (OSError, http.client.HTTPException) as error:
        raise unanswered(error, parts.hostname or "") from None


def basic(username: str, password: str) -> dict[str, str]:
    """The header of a Basic login (RFC 7617)."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def unanswered(error: Exception, host: str) -> Unanswered:
    """What `error` of a connection to `host` means."""
    if isinstance(error, socket.gaierror):
        return Unanswered("name", f"the name {host} does not resolve")
    if isinstance(error, TimeoutError):
        return Unanswered("timeout", "no answer in time")
    if isinstance(error, ConnectionRefusedError):
        return Unanswered("refused", "the connection is refused, nothing listens there")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unanswered(
            "certificate", f"its certificate is not trusted ({error.verify_message.rstrip('.')})"
        )
    if isinstance(error, ssl.SSLError):
        return Unanswered("tls", f"no TLS there ({_words(error)})")
    return Unanswered("network", f"the connection fails ({_words(error)})")


def _words(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", str(text)).rstrip(".")


def _answer(answer: Any) -> Answer:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(answer.status, headers, answer.read(LIMIT))


class _Https(urllib.request.HTTPSHandler):
    """HTTPS with our trust; the certificate may be for another name than the URL's."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        super().__init__(context=context)
        self._trust = context
        self._server_name = server_name

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        connection: Callable[..., http.client.HTTPSConnection] = http.client.HTTPSConnection
        if self._server_name:
            connection = partial(_Named, server_name=self._server_name)
        return self.do_open(connection, req, context=self._trust)


class _Named(http.client.HTTPSConnection):
    """A connection that asks for, and checks, the certificate of `server_name`."""

    def __init__(self, *args: Any, server_name: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._server_name = server_name
        self._trusted: ssl.SSLContext = options["context"]

    def connect(self) -> None:
        """Connect (through the proxy's tunnel, if there is one), then speak TLS."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._trusted.wrap_socket(self.sock, server_hostname=self._server_name)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Only GETs are redirected, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.data is not None or (req.type == "https" and urlsplit(newurl).scheme != "https"):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def proxy_of(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The proxy of the environment for `url`, as Go's http.ProxyFromEnvironment has it."""
    parts = urlsplit(url)
    host, name = parts.hostname or "", f"{parts.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name)
    if not proxy or host == "localhost" or _in_network(host, "127.0.0.0/8") or host == "::1":
        return None
    for entry in (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(","):
        rule = entry.strip().lower()
        rule_host, _, port = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
        if port and port != str(parts.port or {"http": 80, "https": 443}[parts.scheme]):
            continue
        domain = rule_host.removeprefix("*").removeprefix(".")
        if rule == "*" or (domain and (host == domain or host.endswith(f".{domain}"))):
            return None
        if _in_network(host, rule_host):
            return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
