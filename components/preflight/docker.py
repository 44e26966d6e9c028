"""The Docker engine that builds the images answers. The provider's own message for that names neither host nor key.

Owns where the engine is looked for: as the provider does, at images.dockerHost, DOCKER_HOST, the system's socket, the
sockets of Docker Desktop. Leaves alone: engines over ssh, which the provider reaches by a program of its own.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from components.preflight.missing import Check, Missing
from components.preflight.web import Deadline, Unanswered, unanswered

SERVICE = "Docker"
_SYSTEM = "unix:///var/run/docker.sock"
_DESKTOP = (".docker/run/docker.sock", ".docker/desktop/docker.sock")


def docker_check(host: str, environment: Mapping[str, str] = os.environ) -> Check | None:
    """The check; None where the engine is reached in a way that only the provider knows. `host` is the config's."""
    given = host or environment.get("DOCKER_HOST", "")
    if given and urlsplit(given).scheme not in ("unix", "tcp", "http", "https"):
        return None
    home = environment.get("HOME") or str(Path.home())
    hosts = [given] if given else [_SYSTEM, *(f"unix://{home}/{path}" for path in _DESKTOP)]

    def look(deadline: Deadline) -> list[Missing]:
        faults: list[Unanswered] = []
        for candidate in hosts:
            try:
                _ping(candidate, environment, deadline)
                return []
            except Unanswered as error:
                faults.append(error)
        remedy = (
            "start it, or correct the config key images.dockerHost (or DOCKER_HOST); mode prebuilt needs none"
        )
        return [Missing(SERVICE, f"no engine answers: {faults[0]}", " and ".join(hosts), remedy)]

    return Check(SERVICE, " and ".join(hosts), "images.dockerHost", look)


def _ping(host: str, environment: Mapping[str, str], deadline: Deadline) -> None:
    """GET /_ping, which needs no version. Raises Unanswered."""
    parts = urlsplit(host)
    name = parts.path if parts.scheme == "unix" else parts.hostname or ""
    try:
        with closing(_connection(parts, environment, deadline.left())) as connection:
            connection.request("GET", "/_ping")
            status = connection.getresponse().status
    except (FileNotFoundError, PermissionError) as error:
        words = "there is no such socket" if isinstance(error, FileNotFoundError) else "permission denied"
        raise Unanswered("network", words) from None
    except (OSError, http.client.HTTPException) as error:
        raise unanswered(error, name) from None
    if status != 200:
        raise Unanswered("network", f"what answers is no Docker engine (HTTP {status})")


def _connection(
    parts: SplitResult, environment: Mapping[str, str], timeout: float
) -> http.client.HTTPConnection:
    if parts.scheme == "unix":
        return _Unix(parts.path, timeout)
    host = parts.hostname or ""
    if parts.scheme == "https" or environment.get("DOCKER_CERT_PATH"):
        return http.client.HTTPSConnection(
            host, parts.port or 2376, timeout=timeout, context=_tls(environment)
        )
    return http.client.HTTPConnection(host, parts.port or 2375, timeout=timeout)


def _tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    """As the docker command line does with DOCKER_CERT_PATH: its CA, and its certificate."""
    folder = environment.get("DOCKER_CERT_PATH")
    if not folder:
        return ssl.create_default_context()
    context = ssl.create_default_context(cafile=str(Path(folder) / "ca.pem"))
    context.load_cert_chain(Path(folder) / "cert.pem", Path(folder) / "key.pem")
    return context


class _Unix(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
