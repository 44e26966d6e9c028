"""Where the embedded platform keeps things, and the addresses it uses.

Three roots: ``CACHE`` (builds and downloads, keyed by version, survives ``make down``), ``STATE``
(the running platform and the users' data) and ``RUN`` (sockets, pid files). Folders only;
nothing is created at import.
"""

from __future__ import annotations

import os
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thinkube-jupyterhub"
STATE = Path("/var/lib/thinkube-local")
RUN = Path("/run/thinkube-local")

LOGS = STATE / "logs"
DATA = STATE / "data"  # what `make down` keeps: users' files, passwords, the CA
TLS = DATA / "tls"
MOUNTS = STATE / "mnt"  # SeaweedFS mounts, one folder per volume
BIN = CACHE / "bin"  # links to the current build of each tool

KUBECONFIG = STATE / "kubeconfig"
CA_FILE = TLS / "ca.crt"
CA_BUNDLE = STATE / "ca-bundle.crt"  # the system's CAs and ours
CREDENTIALS = DATA / "credentials.json"
STACKS = STATE / "pulumi"

DOCKER_SOCKET = RUN / "docker.sock"
CONTAINERD_SOCKET = RUN / "containerd" / "containerd.sock"

# --- the network: a namespace of its own, joined to the machine by one veth pair ---------------
NETNS = "thinkube-local"
LINK = "tkl0"  # the machine's end
NODE_ADDRESS = "10.251.0.1"  # the node's end: API server, Traefik, Keycloak
HOST_ADDRESS = "10.251.0.2"
NETWORK = "10.251.0.0/16"
POD_CIDR = "10.251.64.0/18"
SERVICE_CIDR = "10.251.128.0/18"
API_SERVICE_ADDRESS = "10.251.128.1"
DNS_ADDRESS = "10.251.128.10"

DOMAIN = "thinkube.test"
# the tests' own stack, realm and names; another name gives a second developer a share of the same platform
TEST_STACK = os.environ.get("THINKUBE_TEST_STACK", "test")
HOSTS = tuple(f"{name}.{DOMAIN}" for name in ("auth", "harbor", "jupyter", f"jupyter.{TEST_STACK}"))
KEYCLOAK_URL = f"https://auth.{DOMAIN}"
REGISTRY = f"harbor.{DOMAIN}"
