"""Where the embedded platform keeps things, and the addresses it uses.

Three roots: ``CACHE`` (builds and downloads, keyed by version, survives ``make down``), ``STATE``
(the running platform and the users' data) and ``RUN`` (sockets, pid files). The last two and all
addresses are the chosen instance's own (``local/instance.py``). Nothing is created at import.
"""

from __future__ import annotations

import os
from pathlib import Path

from local.instance import INSTANCE

REPO = Path(__file__).resolve().parent.parent

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thinkube-jupyterhub"
NAME = INSTANCE.name
STATE = Path("/var/lib") / NAME
RUN = Path("/run") / NAME

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
NETNS = NAME
LINK = INSTANCE.link  # the machine's end
NODE_ADDRESS = f"{INSTANCE.prefix}.0.1"  # the node's end: API server, Traefik, Keycloak
HOST_ADDRESS = f"{INSTANCE.prefix}.0.2"
NETWORK = f"{INSTANCE.prefix}.0.0/16"
POD_CIDR = f"{INSTANCE.prefix}.64.0/18"
SERVICE_CIDR = f"{INSTANCE.prefix}.128.0/18"
API_SERVICE_ADDRESS = f"{INSTANCE.prefix}.128.1"
DNS_ADDRESS = f"{INSTANCE.prefix}.128.10"

DOMAIN = INSTANCE.domain
# the tests' own stack, realm and names; another name gives a second developer a share of the same platform
TEST_STACK = os.environ.get("THINKUBE_TEST_STACK", "test")
HOSTS = tuple(f"{name}.{DOMAIN}" for name in ("auth", "harbor", "git", "jupyter", f"jupyter.{TEST_STACK}"))
KEYCLOAK_URL = f"https://auth.{DOMAIN}"
REGISTRY = f"harbor.{DOMAIN}"
