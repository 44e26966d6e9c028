"""What a check says: one sentence of one shape for each dependency that is missing.

    <service>: <cause> (tried <what>); <remedy, with the config key>

docs/preflight.md lists them. Owns the shape, and the remedies for what goes wrong on the way to a web address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.preflight.web import Deadline, Unanswered


@dataclass(frozen=True)
class Missing:
    """A dependency that is missing; each part is a clause without full stop."""

    service: str
    cause: str
    tried: str
    """a request or a path; "" where there was nothing to try"""
    remedy: str

    def __str__(self) -> str:
        tried = f" (tried {self.tried})" if self.tried else ""
        return f"{self.service}: {self.cause}{tried}; {self.remedy}"


@dataclass(frozen=True)
class Check:
    """Looks for one dependency. `tried` and `key` are for the case that it never comes back."""

    service: str
    tried: str
    key: str
    look: Callable[[Deadline], Sequence[Missing]]


def unreachable(service: str, url: str, key: str, error: Unanswered, certificate: str) -> Missing:
    """The sentence for a web address that gives no answer; `certificate` is the remedy for one that is not trusted."""
    remedies = {
        "name": f"see that the name is in DNS, or correct the config key {key}",
        "certificate": certificate,
        "tls": f"correct the host and port in the config key {key}",
    }
    usual = f"start it and see that it is reached from here, or correct the config key {key}"
    return Missing(service, str(error), f"GET {url}", remedies.get(error.kind, usual))
