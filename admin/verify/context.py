"""What all checks of one run share: the stack's facts, the ways to the services, and what is to be cleaned up.

Built once from the Pulumi stack; tests build it from fakes. Secrets are fetched by name when a check asks for them, and
end with the process.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx

from admin.errors import AdminError
from admin.stack import PulumiStack
from admin.verify.cluster import Cluster, Reader
from components.settings import Settings

TIMEOUT = 10.0
"""Seconds for one question to a service."""


@dataclass(frozen=True)
class Options:
    """What the admin set on the command line."""

    server: bool = True
    warn_days: int = 21
    fail_days: int = 3


@dataclass
class Context:
    """Facts and connections of one run."""

    stack: str
    settings: Settings
    outputs: dict[str, Any]
    cluster: Reader
    http: httpx.Client
    tls: ssl.SSLContext
    secret: Callable[[str], str]
    """a secret of the stack's configuration by key; "" if there is none"""
    options: Options = field(default_factory=Options)
    ends_at: float = float("inf")
    """time.monotonic() at which the run is over"""
    notes: dict[str, Any] = field(default_factory=dict)
    """what a check hands on to those that need it, by name"""
    cleanup: ExitStack = field(default_factory=ExitStack)
    """runs when the checks are over, however they end"""

    @property
    def namespace(self) -> str:
        """The release's namespace."""
        return self.settings.namespace

    @property
    def url(self) -> str:
        """The hub's public URL, without trailing slash."""
        return f"https://{self.settings.hub_host}"

    def remaining(self) -> float:
        """Seconds until the run is over; 0 if it is."""
        return max(0.0, self.ends_at - time.monotonic())


def open_context(stack: PulumiStack, options: Options, deadline: float) -> Context:
    """Read the stack and prepare the connections; asks no service yet. Raises AdminError if that cannot be done."""
    config = stack.config()
    settings = stack.settings(config)
    outputs = stack.outputs()
    if "url" not in outputs:
        raise AdminError(f"Stack {stack.name} has no outputs: it was never deployed. Run `pulumi up` first.")
    stack.secret("keycloak_admin_password")  # a wrong passphrase is no fault of the deploy: say so at once
    kubeconfig = config.values.get("kubernetes:kubeconfig", "")
    if "kubernetes:kubeconfig" in config.encrypted:
        kubeconfig = stack.secret("kubernetes:kubeconfig")
    tls = trust(settings.identity.ca_bundle)
    http = httpx.Client(verify=tls, timeout=TIMEOUT, follow_redirects=False)
    context = Context(
        stack=stack.name,
        settings=settings,
        outputs=outputs,
        cluster=Cluster.connect(config.values, kubeconfig),
        http=http,
        tls=tls,
        secret=stack.secret,
        options=options,
        ends_at=time.monotonic() + deadline,
    )
    context.cleanup.callback(http.close)
    return context


def trust(ca_bundle: str) -> ssl.SSLContext:
    """The system's CAs (or SSL_CERT_FILE's) and those of `identity.caBundle`."""
    context = ssl.create_default_context()
    if ca_bundle:
        context.load_verify_locations(cadata=ca_bundle)
    return context
