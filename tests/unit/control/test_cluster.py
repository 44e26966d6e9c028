"""The service's way to the API server: its own account's CA and token, bounded to the namespaces it is given."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local.control import cluster


@pytest.fixture
async def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[web.Request]]:
    """An API server with a certificate of its own authority, announced as Kubernetes does; what it was asked."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "token").write_text("first\n")
    served: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        served.append(request)
        if request.path.startswith("/api/v1/namespaces/forbidden/"):
            return web.json_response({"kind": "Status", "code": 403}, status=403)
        return web.json_response({"items": [{"path": request.path}]})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "ca.crt", tmp_path / "key.pem")
    server = TestServer(app, scheme="https", host="127.0.0.1")
    await server.start_server(ssl=context)
    monkeypatch.setattr(cluster, "ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    yield served
    await server.close()


async def test_lists_are_asked_for_with_the_token_of_the_moment(
    requests: list[web.Request], tmp_path: Path
) -> None:
    async with cluster.ApiServer([]) as api:
        assert await api.nodes() == [{"path": "/api/v1/nodes"}]
        (tmp_path / "token").write_text("rotated")
        await api.running_pods()
    assert [request.headers["Authorization"] for request in requests] == ["Bearer first", "Bearer rotated"]
    assert requests[1].query["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed"


async def test_manifests_come_from_everywhere_or_from_the_given_namespaces(
    requests: list[web.Request],
) -> None:
    async with cluster.ApiServer([]) as api:
        await api.image_manifests()
    async with cluster.ApiServer(["a", "b"]) as api:
        assert len(await api.image_manifests()) == 2
    assert [request.path for request in requests] == [
        "/api/v1/configmaps",
        "/api/v1/namespaces/a/configmaps",
        "/api/v1/namespaces/b/configmaps",
    ]
    assert {request.query["labelSelector"] for request in requests} == {"thinkube.io/image-manifest=true"}


async def test_a_refusal_of_the_api_is_an_error_not_an_empty_list(requests: list[web.Request]) -> None:
    async with cluster.ApiServer(["forbidden"]) as api:
        with pytest.raises(aiohttp.ClientResponseError, match="403"):
            await api.image_manifests()


def test_outside_a_pod_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(RuntimeError, match="KUBERNETES_SERVICE_HOST"):
        cluster.ApiServer([])
