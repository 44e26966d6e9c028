"""A throw-away Kubernetes API for the engine tests: etcd, API server and controller manager on loopback,
nothing else.

No scheduler and no kubelet: pods stay Pending, which is all that the providers' rules need.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from local.paths import CACHE

TOKEN = "engine-tests"


def binaries() -> Path:
    """The folder with the Kubernetes parts, ``pulumi``, its language host and ``helm``: the toolchain's
    links in the cache.
    """
    given = os.environ.get("THINKUBE_ENGINE_TOOLS")
    return Path(given) if given else CACHE / "bin"


@contextmanager
def running(folder: Path) -> Iterator[Path]:
    """Start the three processes, wait until they serve, hand out the kubeconfig; stop them after. Logs lie
    in ``folder``.
    """
    etcd_port, peer_port, api_port, manager_port = _free_ports(4)
    _keys(folder)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(folder, api_port)))
    (folder / "tokens.csv").write_text(f"{TOKEN},engine,engine,system:masters\n")
    tools = binaries()
    etcd = shutil.which("etcd")
    assert etcd, "etcd is not on PATH: apt-get install etcd-server"
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str, executable: str | None = None) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [name, *arguments],
                    executable=executable or str(tools / name),
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                )
            )

    try:
        start(
            "etcd",
            f"--data-dir={folder}/etcd",
            "--unsafe-no-fsync",
            f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            executable=etcd,
        )
        start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={api_port}",
            f"--tls-cert-file={folder}/tls.crt",
            f"--tls-private-key-file={folder}/tls.key",
            f"--token-auth-file={folder}/tokens.csv",
            f"--service-account-key-file={folder}/tls.key",
            f"--service-account-signing-key-file={folder}/tls.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.251.192.0/24",
            "--authorization-mode=RBAC",
        )
        start(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--service-account-private-key-file={folder}/tls.key",
            f"--root-ca-file={folder}/tls.crt",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={manager_port}",
        )
        _wait(folder, api_port, processes)
        yield kubeconfig
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(folder: Path, port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    """Until the default service account exists: then the API serves and the controllers run."""
    context = ssl.create_default_context(cafile=str(folder / "tls.crt"))
    url = f"https://127.0.0.1:{port}/api/v1/namespaces/default/serviceaccounts/default"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(request, context=context, timeout=5) as answer:  # noqa: S310  our own address
                json.load(answer)
                return
        except OSError:
            dead = [p.args for p in processes if p.poll() is not None]
            assert not dead, f"{dead} ended; the logs are in {folder}"
            assert time.monotonic() < deadline, f"the API server does not serve; the logs are in {folder}"
            time.sleep(0.3)


def _keys(folder: Path) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=engine-tests -keyout tls.key -out tls.crt"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def _kubeconfig(folder: Path, port: int) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "engine",
        "contexts": [{"name": "engine", "context": {"cluster": "engine", "user": "engine"}}],
        "clusters": [
            {
                "name": "engine",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority": str(folder / "tls.crt"),
                },
            }
        ],
        "users": [{"name": "engine", "user": {"token": TOKEN}}],
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
