"""containerd for the node, a Docker engine for builds, and the OCI registry that stands in Harbor's place.

Own sockets, roots and configuration throughout: a machine's own Docker or containerd is left alone. The Docker
engine runs on the machine's network (builds fetch packages), everything else inside the node's.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import bcrypt
import httpx

from local import processes
from local.credentials import Credentials
from local.daemons import Daemon
from local.files import write, write_yaml
from local.instance import INSTANCE
from local.paths import (
    CA_BUNDLE,
    CA_FILE,
    CACHE,
    CONTAINERD_SOCKET,
    DOCKER_SOCKET,
    NAME,
    NODE_ADDRESS,
    POD_CIDR,
    REGISTRY,
    RUN,
    STATE,
)

_EXEC_ROOT = RUN / "docker"
PAUSE_IMAGE = "thinkube.local/pause:1"
CTR = ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io"]


def prepare(credentials: Credentials) -> None:
    """Write the configuration files of the three."""
    write(STATE / "containerd.toml", _CONTAINERD_TOML)
    write(
        STATE / "containerd-certs.d" / REGISTRY / "hosts.toml",
        f'server = "https://{REGISTRY}"\n\n[host."https://{REGISTRY}"]\n  ca = "{CA_FILE}"\n',
    )
    write(STATE / "cni" / "net.d" / "10-thinkube.conflist", _CNI_CONFLIST)
    hashed = bcrypt.hashpw(credentials.harbor_robot.encode(), bcrypt.gensalt(rounds=8)).decode()
    htpasswd = STATE / "registry.htpasswd"
    stale = True
    if htpasswd.exists():
        known = htpasswd.read_text().strip().split(":", 1)[1]
        stale = not bcrypt.checkpw(credentials.harbor_robot.encode(), known.encode())
    if stale:
        write(htpasswd, f"{credentials.harbor_robot_username}:{hashed}\n")
    config = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(CACHE / "registry")}, "delete": {"enabled": True}},
        "http": {
            "addr": f"{NODE_ADDRESS}:5000",
            "secret": credentials.harbor_robot,
            "host": f"https://{REGISTRY}",
        },
        "auth": {"htpasswd": {"realm": "harbor", "path": str(htpasswd)}},
    }
    write_yaml(STATE / "registry.yaml", config)


def containerd() -> Daemon:
    def serves() -> bool:
        done = subprocess.run([*CTR, "version"], capture_output=True, timeout=5, check=False)
        return done.returncode == 0

    return Daemon(
        "containerd",
        ["/usr/bin/containerd", f"--config={STATE / 'containerd.toml'}"],
        healthy=serves,
        env={"SSL_CERT_FILE": str(CA_BUNDLE)},
    )


def docker_engine() -> Daemon:
    return Daemon(
        "dockerd",
        [
            "/usr/sbin/dockerd",
            f"--host=unix://{DOCKER_SOCKET}",
            f"--data-root={_docker_data()}",
            f"--exec-root={_EXEC_ROOT}",
            f"--pidfile={RUN / 'docker-engine.pid'}",
            f"--config-file={write(STATE / 'docker.json', '{}')}",
            # builds use --network host: no bridge, no firewall rules, no clash with another Docker
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            f"--cgroup-parent=/{NAME}",
            "--exec-opt=native.cgroupdriver=cgroupfs",  # systemd's takes no cgroup of that name
            *_own_containerd(),
        ],
        healthy=lambda: _unix_get(DOCKER_SOCKET, "/_ping") == "OK",
        env={"SSL_CERT_FILE": str(CA_BUNDLE)},
        node=False,
    )


def _docker_data() -> Path:
    """Where the engine's layers lie: in the cache, since the next build starts from them.

    One folder for all platforms of the machine, but two engines cannot share it: where another one runs on it, this
    platform takes one of its own.
    """
    shared = CACHE / "docker"
    for pid in processes.running():
        command = processes.command_line(pid)
        if f"--data-root={shared}" in command and f"--exec-root={_EXEC_ROOT}" not in command:
            return CACHE / f"docker-{INSTANCE.number}"
    return shared


def _own_containerd(running: Path = Path("/run/containerd/containerd.sock")) -> list[str]:
    """dockerd starts a containerd of its own, except where it finds the machine's: that one it would join, in the same
    namespace as the machine's own Docker. Then it gets the node's.
    """
    return [f"--containerd={CONTAINERD_SOCKET}"] if running.exists() else []


def registry() -> Daemon:
    def serves() -> bool:
        return httpx.get(f"http://{NODE_ADDRESS}:5000/v2/", timeout=3, trust_env=False).status_code == 401

    return Daemon("registry", ["/usr/bin/docker-registry", "serve", STATE / "registry.yaml"], healthy=serves)


def _unix_get(path: Path, url: str) -> str:
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, timeout=3) as client:
        return client.get(f"http://docker{url}").text


def port_in_use(address: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((address, port)) == 0


_CONTAINERD_TOML = f"""version = 2
root = "{STATE / "containerd"}"
state = "{RUN / "containerd-state"}"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # without CAP_SYS_RESOURCE (containers, some VMs) every sandbox dies otherwise
  restrict_oom_score_adj = true
  # pods' network namespaces lie with the rest of the state, so that they are known as ours
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{STATE / "cni" / "net.d"}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "{RUN / "runc"}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{STATE / "containerd-certs.d"}"
"""

_CNI_CONFLIST = f"""{{
  "cniVersion": "0.4.0",
  "name": "{NAME}",
  "plugins": [
    {{
      "type": "bridge", "bridge": "tkl-pods", "isGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {{
        "type": "host-local", "dataDir": "{STATE / "cni" / "networks"}",
        "ranges": [[{{"subnet": "{POD_CIDR}"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]
      }}
    }},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}}
"""
