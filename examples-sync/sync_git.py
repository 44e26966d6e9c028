"""Runs git for the examples: with a login that no process list shows, within a time, and failing in plain words.

Leaves alone: what is fetched and when (examples_sync.py), and where it lies (sync_volume.py).
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# what git says (2.30 to 2.51, LC_ALL=C, with OpenSSL or GnuTLS) -> what is wrong, whether trying again is in vain
_CAUSES = (
    (r"could not read (Username|Password)|terminal prompts disabled", "{login}", True),
    (r"Authentication failed|returned error: 40[13]", "{login}", True),
    (
        r"repository '.*' not found|returned error: 404|does not appear to be a git",
        "there is no such repository",
        True,
    ),
    (r"certificate", "its certificate is not trusted; set examples.caBundle", True),
    (r"Could not resolve host", "its host name cannot be resolved", False),
    (
        r"Failed to connect|Connection refused|Connection timed out|Couldn't connect",
        "nothing answers there",
        False,
    ),
    (r"returned error: 5\d\d", "the server is not able to answer now", False),
)


class SyncError(Exception):
    """Why a repository could not be fetched, in half a sentence; `final` if trying again is in vain."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True)
class Repository:
    """One repository of the settings."""

    url: str
    folder: str
    ref: str
    private: bool = False
    username: str = "git"


@dataclass(frozen=True)
class Git:
    """Runs git without prompts, the machine's settings and hooks; everything that it leaves lies in `home`."""

    home: Path
    timeout: float
    ca_file: Path | None = None
    token: str = field(default="", repr=False)
    protocols: str = "https"

    def run(self, repository: Repository, *arguments: str) -> str:
        """Standard output of `git <arguments>`. Raises SyncError with the cause in plain words."""
        process = subprocess.Popen(
            ["git", *arguments],
            env=self._environment(repository),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, complaint = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # git's helpers too: they hold the connection
            process.communicate()
            raise SyncError(f"it did not end within {self.timeout:g} s", final=True) from None
        if process.returncode:
            raise cause(complaint, repository, self.token)
        return output

    def _environment(self, repository: Repository) -> dict[str, str]:
        passed = ("PATH", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        settings = {
            "core.hooksPath": "/dev/null",
            "http.lowSpeedLimit": "1000",
            "http.lowSpeedTime": "60",
        }
        if repository.private:
            login = base64.b64encode(f"{repository.username}:{self.token}".encode()).decode()
            settings["http.extraHeader"] = f"Authorization: Basic {login}"
            settings["http.followRedirects"] = "false"  # the token is for this server alone
        environment = {name: os.environ[name] for name in passed if name in os.environ}
        environment |= {
            "HOME": str(self.home),
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ALLOW_PROTOCOL": self.protocols,
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for number, (key, value) in enumerate(settings.items()):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        if self.ca_file:
            environment["GIT_SSL_CAINFO"] = str(self.ca_file)
        return environment


def cause(complaint: str, repository: Repository, token: str) -> SyncError:
    """What git's complaint means, in half a sentence that the token is never part of."""
    login = (
        "the server refused examples_token"
        if repository.private
        else "it is not there, or wants a login (then set private and examples_token)"
    )
    for pattern, reason, final in _CAUSES:
        if re.search(pattern, complaint, re.IGNORECASE):
            return SyncError(reason.format(login=login), final=final)
    last = (complaint.strip().splitlines() or ["git failed without a word"])[-1]
    return SyncError(last.replace(token, "***") if token else last, final=False)
