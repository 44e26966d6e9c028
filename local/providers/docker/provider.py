"""docker:index/image:Image: preview hashes the context and does not build; create and update build and push.

As the official provider: every change is an update, destroy removes no tag, refresh looks at no registry,
a new password is no change. ``repoDigest`` is ``host/name@sha256:...`` after a push and the image's id
without one.
"""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi.provider.experimental import provider as rpc
from pulumi.provider.experimental.property_value import PropertyValue

from local.providers.docker.context import digest
from local.providers.docker.engine import Docker, Login
from local.providers.log import EngineLog
from local.providers.serve import ProviderError
from local.providers.values import (
    UNKNOWN,
    Properties,
    changes,
    diff_response,
    has_unknown,
    plain_map,
    wrap,
    wrap_map,
)

IMAGE = "docker:index/image:Image"

_CONFIG = frozenset(["host", "registryAuth", "disableDockerDaemonCheck", "version", "pluginDownloadURL"])
_INPUTS = frozenset(["build", "buildOnPreview", "imageName", "registry", "skipPush"])
_BUILD = frozenset(
    [
        "addHosts",
        "args",
        "builderVersion",
        "cacheFrom",
        "context",
        "contextDigest",
        "dockerfile",
        "network",
        "platform",
        "target",
    ]
)
_REGISTRY = frozenset(["server", "username", "password"])
_BUILDERS = ("BuilderBuildKit", "BuilderV1")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class DockerProvider(rpc.Provider):
    """Answers the engine; builds run in threads."""

    def __init__(self) -> None:
        self._docker = Docker(None)
        self._log = EngineLog()

    async def check_config(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        failures = [
            rpc.CheckFailure(
                key,
                f"{key} cannot be honoured by the stand-in Docker provider; it knows host and registryAuth",
            )
            for key in sorted(set(request.new_inputs) - _CONFIG)
            if not key.startswith("__")
        ]
        return rpc.CheckResponse(request.new_inputs, failures)

    async def configure(self, request: rpc.ConfigureRequest) -> rpc.ConfigureResponse:
        args = plain_map(request.args)
        auth = args.get("registryAuth") or []
        auth = json.loads(auth) if isinstance(auth, str) and auth != UNKNOWN else auth
        logins = [
            Login(_host(entry["address"]), entry["username"], entry.get("password", ""))
            for entry in auth
            if isinstance(entry, dict) and entry.get("username")
        ]
        host = args.get("host")
        self._docker = Docker(None if host == UNKNOWN else host, logins)
        # Found out now, in preview, and not after minutes of building others.
        if host != UNKNOWN and str(args.get("disableDockerDaemonCheck", "")).lower() != "true":
            await asyncio.to_thread(self._docker.ping)
        return rpc.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        _known(request.type)
        news = plain_map(request.new_inputs)
        failures = [
            rpc.CheckFailure(key, f"docker.Image has no input {key}") for key in sorted(set(news) - _INPUTS)
        ]
        for name, allowed in (("build", _BUILD), ("registry", _REGISTRY)):
            keys = set(news[name]) - allowed if isinstance(news.get(name), dict) else set()
            failures += [
                rpc.CheckFailure(f"{name}.{key}", f"docker.Image has no {name}.{key}") for key in sorted(keys)
            ]
        if failures:
            return rpc.CheckResponse(request.new_inputs, failures)
        if news.get("build") != UNKNOWN:
            news["build"] = await asyncio.to_thread(_completed, news.get("build") or {})
        if news.get("imageName") != UNKNOWN and not news.get("skipPush"):
            _registry_of(str(news["imageName"]))
        return rpc.CheckResponse(wrap_map(news, request.new_inputs))

    async def diff(self, request: rpc.DiffRequest) -> rpc.DiffResponse:
        olds = plain_map(request.old_state).get("__inputs", {})
        news = plain_map(request.new_inputs)
        found = changes(_without_login(olds), _without_login(news))
        return diff_response(found, ignored=request.ignore_changes)

    async def create(self, request: rpc.CreateRequest) -> rpc.CreateResponse:
        _known(request.type)
        inputs = plain_map(request.properties)
        if request.preview and not _previewable(inputs):
            return rpc.CreateResponse("", request.properties)
        outputs = await asyncio.to_thread(self._build, inputs, request.urn, request.preview)
        return rpc.CreateResponse(
            "" if request.preview else str(inputs["imageName"]), _state(request.properties, outputs)
        )

    async def update(self, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        inputs = plain_map(request.news)
        if request.preview and not _previewable(inputs):
            return rpc.UpdateResponse({**request.news, "repoDigest": wrap(UNKNOWN)})
        outputs = await asyncio.to_thread(self._build, inputs, request.urn, request.preview)
        return rpc.UpdateResponse(_state(request.news, outputs))

    async def delete(self, request: rpc.DeleteRequest) -> None:
        """Nothing: images and tags stay, here and in the registry."""

    def _build(self, inputs: dict[str, Any], urn: str, preview: bool) -> dict[str, Any]:
        name, build, registry = str(inputs["imageName"]), inputs["build"], inputs.get("registry") or {}
        login = None
        if registry.get("username") and registry.get("password"):
            server = registry.get("server") or _registry_of(name)
            login = Login(_host(server), registry["username"], registry["password"])

        def report(line: str) -> None:
            self._log.status(urn, line)

        answer = self._docker.build(name, build, login, report)
        if not inputs.get("skipPush") and not preview:
            report(f"pushing {name}")
            answer = f"{_without_tag(name)}@{self._docker.push(name, login, report)}"
        return {
            "baseImageName": name,
            "context": build["context"],
            "dockerfile": build["dockerfile"],
            "imageName": name,
            "platform": build["platform"],
            "registryServer": registry.get("server", ""),
            "repoDigest": answer,
        }


def _known(token: str) -> None:
    if token != IMAGE:
        raise ProviderError(
            f"{token} is not among the types the stand-in Docker provider knows: {IMAGE}. "
            "Use this one, or install the official pulumi-resource-docker plugin."
        )


def _completed(build: Mapping[str, Any]) -> dict[str, Any]:
    """The build with its defaults and the context's digest; paths are relative to the program."""
    machine = platform.machine()
    answer = {"context": ".", "platform": f"linux/{_ARCHITECTURES.get(machine, machine)}", **build}
    if answer.get("builderVersion", _BUILDERS[0]) not in (*_BUILDERS, UNKNOWN):
        raise ProviderError(
            f"build.builderVersion is {answer['builderVersion']}; it is one of {', '.join(_BUILDERS)}."
        )
    if UNKNOWN in (answer["context"], answer.get("dockerfile")):
        return answer
    context = Path(str(answer["context"]))
    answer.setdefault("dockerfile", str(context / "Dockerfile"))
    dockerfile = Path(str(answer["dockerfile"]))
    if not context.is_dir():
        raise ProviderError(f"build.context {context} is no folder.")
    if not dockerfile.is_file():
        inside = context / dockerfile
        hint = (
            f" Try {inside}: the path is relative to the program, not to the context."
            if inside.is_file()
            else ""
        )
        raise ProviderError(f"build.dockerfile {dockerfile} does not exist.{hint}")
    answer["contextDigest"] = digest(context, dockerfile)
    return answer


def _previewable(inputs: Mapping[str, Any]) -> bool:
    return inputs.get("buildOnPreview") is True and not has_unknown(
        [inputs.get("build"), inputs.get("imageName")]
    )


def _without_login(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that decide about a build: credentials may change every hour."""
    answer = dict(inputs)
    if isinstance(answer.get("registry"), dict):
        answer["registry"] = {"server": answer["registry"].get("server")}
    return answer


def _state(inputs: Properties, outputs: Mapping[str, Any]) -> Properties:
    return {**wrap_map(outputs), "__inputs": PropertyValue(dict(inputs), is_secret=True)}


def _registry_of(image: str) -> str:
    """The host of a fully qualified name; a push has to say where to."""
    host, slash, _ = image.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        raise ProviderError(
            f"imageName {image} names no registry; write host/project/name:tag, or set skipPush."
        )
    return host


def _host(server: str) -> str:
    return server.split("://", 1)[-1].split("/", 1)[0]


def _without_tag(image: str) -> str:
    path, _, last = image.rpartition("/")
    return f"{path}/{last.split(':', 1)[0].split('@', 1)[0]}"
