"""Passwords of the platform: generated once, kept in one 0600 file beside the users' data.

Nobody types them but the two users; everything else reads this file.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.files import write
from local.paths import CREDENTIALS

ADMIN_USER = "ada"
PLAIN_USER = "ben"


def _new() -> str:
    return secrets.token_urlsafe(15)


@dataclass(frozen=True)
class Credentials:
    """All generated secrets. User passwords are per realm user; the passphrase encrypts the local stacks' state."""

    keycloak_admin: str = field(default_factory=_new)
    harbor_robot: str = field(default_factory=_new)
    control_token: str = field(
        default_factory=lambda: f"tk_{_new()}"
    )  # thinkube-control takes no other prefix
    pulumi_passphrase: str = field(default_factory=_new)
    users: dict[str, str] = field(default_factory=lambda: {ADMIN_USER: _new(), PLAIN_USER: _new()})

    keycloak_admin_username = "admin"
    harbor_robot_username = "robot$thinkube"


def load(path: Path = CREDENTIALS) -> Credentials:
    """Read the file, or generate and write it when it is not there."""
    if path.exists():
        return Credentials(**json.loads(path.read_text()))
    credentials = Credentials()
    write(path, json.dumps(asdict(credentials), indent=2))
    return credentials
