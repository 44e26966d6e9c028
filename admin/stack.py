"""A stack as the Pulumi command line shows it: configuration, outputs, and any other command.

Owns how the CLI is called. Leaves alone where state, passphrase and configuration file lie: the CLI finds them by the
caller's environment (`pulumi login`, PULUMI_BACKEND_URL, PULUMI_OPTION_CONFIG_FILE, ...). Secrets are asked for one by
one, by name, and never become part of a message.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml

from admin.errors import AdminError
from components.settings import Settings
from components.settings.reader import SECRET_KEYS, settings_from

REPO = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class StackConfig:
    """What `pulumi config` says, defaults of Pulumi.yaml included; keys with their namespace."""

    values: Mapping[str, str]
    """text as the CLI gives it (objects as JSON); "" where the value is a secret"""
    encrypted: frozenset[str]


class PulumiStack:
    """One stack of the program in `folder`."""

    def __init__(self, name: str, folder: Path = REPO) -> None:
        """Does nothing yet; a stack that is not there shows at the first question."""
        self.name = name
        self.folder = folder
        self._listed: dict[str, dict[str, Any]] = {}
        self._secrets: dict[str, str] = {}
        self.project: str = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]

    def run(self, arguments: Sequence[str], *, timeout: float = 300) -> str:
        """Standard output of `pulumi ARGUMENTS --stack NAME`. Raises AdminError with the CLI's own words."""
        done = self.attempt(arguments, timeout=timeout)
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
            raise AdminError(f"pulumi {' '.join(arguments[:2])} --stack {self.name} failed: {said}")
        return done.stdout

    def attempt(
        self, arguments: Sequence[str], *, timeout: float = 300, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`pulumi ARGUMENTS --stack NAME`, whatever its exit code; ``env`` is added to the caller's environment.

        Raises AdminError where the CLI is missing or does not end.
        """
        command = ["pulumi", "--non-interactive", "--color", "never", *arguments, "--stack", self.name]
        try:
            return subprocess.run(
                command,
                cwd=self.folder,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", **(env or {})},
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as missing:
            raise AdminError(
                "The Pulumi CLI is not on PATH: install it, https://www.pulumi.com/docs/install/."
            ) from missing
        except subprocess.TimeoutExpired as late:
            raise AdminError(
                f"pulumi {arguments[0]}: no end after {timeout:.0f} s; is its backend reachable?"
            ) from late

    def outputs(self) -> dict[str, Any]:
        """The program's exports; secret ones are `[secret]`."""
        answer: dict[str, Any] = json.loads(self.run(["stack", "output", "--json"], timeout=60))
        return answer

    def config(self) -> StackConfig:
        """The configuration, secrets left out; read once."""
        listed = self._listed = self._listed or json.loads(self.run(["config", "--json"], timeout=60))
        return StackConfig(
            values={
                key: "" if entry.get("secret") else str(entry.get("value", ""))
                for key, entry in listed.items()
            },
            encrypted=frozenset(key for key, entry in listed.items() if entry.get("secret")),
        )

    def settings(self, config: StackConfig) -> Settings:
        """The program's settings, by the program's own reader. Raises AdminError as `pulumi preview` would refuse."""
        prefix = f"{self.project}:"
        values = {
            key.removeprefix(prefix): value for key, value in config.values.items() if key.startswith(prefix)
        }
        encrypted = {key.removeprefix(prefix) for key in config.encrypted if key.startswith(prefix)}
        try:
            return settings_from(self.name, values, encrypted)
        except pulumi.RunError as refused:
            raise AdminError(str(refused)) from refused

    def secret(self, key: str) -> str:
        """One secret: from the stack, else from the environment variable that may stand in for it, else "". Asked for
        once. Raises AdminError if it cannot be decrypted.
        """
        if key not in self._secrets:
            full = key if ":" in key else f"{self.project}:{key}"
            value = ""
            if full in self.config().encrypted:
                value = self.run(["config", "get", key], timeout=60).removesuffix("\n")
            variables = {secret.key: secret.environment for secret in SECRET_KEYS}
            self._secrets[key] = value or os.environ.get(variables.get(key) or "", "")
        return self._secrets[key]
