"""The Docker engine: one build and one push, with BuildKit, through a docker command line that can do it.

A session of BuildKit needs the command line's own code: Debian 12's docker.io (20.10) has it built in, newer ones have
it in the buildx plugin. Logins are written to a throw-away folder, never to the user's ``~/.docker``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.providers.serve import ProviderError

TAIL = 20
"""Lines of the builder's output that an error repeats."""


@dataclass(frozen=True)
class Login:
    """Credentials for one registry host."""

    server: str
    username: str
    password: str = field(repr=False)


class Docker:
    """The engine at ``host`` (``unix:///...``; None for the ambient one). Raises ProviderError from every
    method.
    """

    def __init__(self, host: str | None, logins: Sequence[Login] = ()) -> None:
        self._host = host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        self._logins = tuple(logins)

    def ping(self) -> None:
        """Fail, naming the host, when the engine does not answer."""
        done = self._docker(["version", "--format", "{{.Server.Version}}"], self._logins)
        if done.returncode != 0:
            reason = (done.stdout.strip().splitlines() or [""])[-1]
            raise ProviderError(
                f"failed to connect to any docker daemon: none answers at {self._host}; start one, or set the Docker "
                f"provider's host (DOCKER_HOST). {reason}".rstrip()
            )

    def build(
        self, image: str, build: Mapping[str, Any], login: Login | None, report: Callable[[str], None]
    ) -> str:
        """Build and tag; the image's id (``sha256:...``). A failure names the step and repeats the last
        lines.
        """
        kit = build.get("builderVersion", "BuilderBuildKit") == "BuilderBuildKit"
        executable, buildx = self._builder() if kit else (_executables()[0], False)
        with tempfile.TemporaryDirectory(prefix="thinkube-build-") as folder:
            id_file = Path(folder) / "id"
            command = ["buildx", "build", "--load"] if buildx else ["build"]
            command += ["--tag", image, "--file", str(build["dockerfile"]), "--iidfile", str(id_file)]
            for name, value in sorted((build.get("args") or {}).items()):
                command += ["--build-arg", f"{name}={value}"]
            for key, flag in (("target", "--target"), ("network", "--network"), ("platform", "--platform")):
                command += [flag, str(build[key])] if build.get(key) else []
            for host in build.get("addHosts") or []:
                command += ["--add-host", str(host)]
            for source in (build.get("cacheFrom") or {}).get("images") or []:
                command += ["--cache-from", str(source)]
            logins = (*self._logins, *([login] if login else []))
            done = self._docker([*command, str(build["context"])], logins, executable, kit, report)
            if done.returncode != 0:
                reason = (done.stdout.strip().splitlines() or ["no reason given"])[-1]
                raise ProviderError(
                    f"error reading build output: {reason}\n"
                    f"building {image} failed{_step(done.stdout)}:\n{_last(done.stdout)}"
                )
            return id_file.read_text().strip()

    def push(self, image: str, login: Login | None, report: Callable[[str], None]) -> str:
        """Push the tag; the registry's digest (``sha256:...``)."""
        logins = (*self._logins, *([login] if login else []))
        done = self._docker(["push", image], logins, report=report)
        if done.returncode != 0:
            reason = done.stdout.strip().splitlines()[-1:] or ["no reason given"]
            raise ProviderError(
                f"error reading push output: {reason[0]} ({image}: is the registry reachable, the login right?)"
            )
        found = re.findall(r"digest: (sha256:[0-9a-f]{64})", done.stdout)
        if not found:
            raise ProviderError(f"pushing {image}: the engine did not tell the digest: {_last(done.stdout)}")
        return str(found[-1])

    def _builder(self) -> tuple[str, bool]:
        """A docker command line that can use BuildKit, and whether by its buildx plugin."""
        for executable in _executables():
            version = self._docker(["--version"], (), executable).stdout
            major = re.search(r"version v?(\d+)\.", version)
            if major and int(major.group(1)) < 23:
                return executable, False
            if self._docker(["buildx", "version"], (), executable).returncode == 0:
                return executable, True
        raise ProviderError(
            "No docker command line on PATH can build with BuildKit; install docker.io (Debian 12) or "
            "the buildx plugin "
            "(docker-buildx), or set build.builderVersion to BuilderV1."
        )

    def _docker(
        self,
        arguments: Sequence[str],
        logins: Sequence[Login],
        executable: str | None = None,
        kit: bool = True,
        report: Callable[[str], None] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            "DOCKER_HOST": self._host,
            "DOCKER_BUILDKIT": str(int(kit)),
            "BUILDKIT_PROGRESS": "plain",
        }
        with _config(logins) as config:
            env |= {"DOCKER_CONFIG": config} if config else {}
            command = [executable or _executables()[0], *arguments]
            with subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process:
                lines = []
                for line in process.stdout or ():
                    lines.append(line)
                    if report and line.strip():
                        report(line.rstrip())
        return subprocess.CompletedProcess(command, process.returncode, "".join(lines))


def _executables() -> list[str]:
    """Every docker command line on PATH, in its order, the system's package last."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/bin"]
    found = [path for folder in dict.fromkeys(folders) if (path := shutil.which("docker", path=folder))]
    if not found:
        raise ProviderError("docker is not on PATH; install docker.io.")
    return found


@contextlib.contextmanager
def _config(logins: Sequence[Login]) -> Iterator[str | None]:
    """A docker config folder with these logins only; None, the user's own, when there are none."""
    if not logins:
        yield None
        return
    auths = {
        login.server: {"auth": base64.b64encode(f"{login.username}:{login.password}".encode()).decode()}
        for login in logins
    }
    with tempfile.TemporaryDirectory(prefix="thinkube-docker-") as folder:
        target = Path(folder) / "config.json"
        target.touch(mode=0o600)
        target.write_text(json.dumps({"auths": auths}))
        plugins = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "cli-plugins"
        if plugins.is_dir():
            (Path(folder) / "cli-plugins").symlink_to(plugins.resolve())
        yield folder


def _step(output: str) -> str:
    """Which step failed, from BuildKit's plain output (`` > [2/4] RUN ...:``) or the old builder's (``Step
    2/4 : RUN``).
    """
    kit = re.findall(r"^ > (\[.*?\] .*?):?$", output, re.MULTILINE)
    old = re.findall(r"^(Step \d+/\d+ : .*)$", output, re.MULTILINE)
    step = (kit or old or [""])[-1]
    return f" at {step}" if step else ""


def _last(output: str) -> str:
    return "\n".join(f"  {line}" for line in output.strip().splitlines()[-TAIL:])
