"""The provider: checks and compares; what acts on the cluster is in ``store`` (objects) and ``release`` (Helm)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from pulumi.provider.experimental import provider as rpc

from local.providers.kubernetes import settings as configuration
from local.providers.kubernetes import waits
from local.providers.kubernetes.kinds import RELEASE, kind_of, replacing
from local.providers.kubernetes.objects import (
    AUTONAMED,
    REPLACE_UNREADY,
    annotation,
    differences,
    metadata,
    secrets_marked,
    with_name,
)
from local.providers.kubernetes.release import Releases
from local.providers.kubernetes.store import Objects
from local.providers.serve import ProviderError
from local.providers.values import diff_response, plain_map, wrap_map

T = TypeVar("T")


class KubernetesProvider(rpc.Provider):
    """Answers the engine; blocking work runs in threads, since the engine asks for many resources at once."""

    def __init__(self) -> None:
        self.settings = configuration.Settings(unreachable="the provider is not configured")
        self.releases = Releases(self.settings)
        self._stop = threading.Event()
        self.objects = Objects(self.settings, self._stop)

    async def cancel(self) -> None:
        self._stop.set()

    async def check_config(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        problems = configuration.refused(plain_map(request.new_inputs))
        return rpc.CheckResponse(
            request.new_inputs, [rpc.CheckFailure(key, reason) for key, reason in problems]
        )

    async def diff_config(self, request: rpc.DiffRequest) -> rpc.DiffResponse:
        return rpc.DiffResponse(
            replaces=configuration.moved(plain_map(request.old_state), plain_map(request.new_inputs))
        )

    async def configure(self, request: rpc.ConfigureRequest) -> rpc.ConfigureResponse:
        self.settings = configuration.read(plain_map(request.args))
        self.releases = Releases(self.settings)
        self.objects = Objects(self.settings, self._stop)
        return rpc.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        if request.type == RELEASE:
            return await _thread(lambda: self.releases.check(request))
        kind = kind_of(request.type)
        inputs = plain_map(request.new_inputs)
        failures = [
            rpc.CheckFailure(
                key, f"{kind.kind} has no field {key}; it has {', '.join(('metadata', *kind.fields))}"
            )
            for key in inputs
            if key not in ("apiVersion", "kind", "metadata", *kind.fields)
        ]
        if metadata(inputs).get("generateName") and not metadata(inputs).get("name"):
            raise ProviderError(
                "metadata.generateName does not go with server-side apply; leave the name out and it is made up."
            )
        inputs = with_name(inputs, plain_map(request.old_inputs), request.name, request.random_seed)
        inputs |= {"apiVersion": kind.api_version, "kind": kind.kind}
        if kind.namespaced and self.settings.namespace and isinstance(inputs["metadata"], dict):
            inputs["metadata"].setdefault("namespace", self.settings.namespace)
        return rpc.CheckResponse(secrets_marked(wrap_map(inputs), request.new_inputs), failures)

    async def diff(self, request: rpc.DiffRequest) -> rpc.DiffResponse:
        if request.type == RELEASE:
            return self.releases.diff(request)
        kind = kind_of(request.type)
        live, news = plain_map(request.old_state), plain_map(request.new_inputs)
        old_inputs = live.pop("__inputs", {})
        found = differences(kind, old_inputs, live, news)
        if annotation(news, REPLACE_UNREADY) == "true" and kind.kind == "Job" and self.settings.cluster:
            where = f'metadata.annotations["{REPLACE_UNREADY}"]'
            if waits.job_state(await _thread(lambda: self.objects.live(kind, live))) != "Complete":
                return diff_response(
                    {**found, where: rpc.PropertyDiffKind.UPDATE}, replacing=[where], delete_first=True
                )
        same_place = metadata(news).get("name") == metadata(live).get("name") and (
            not kind.namespaced
            or (metadata(news).get("namespace") or "default") == metadata(live).get("namespace", "default")
        )
        return diff_response(
            found,
            replacing=replacing(
                kind,
                mutable_config_maps=self.settings.mutable_config_maps,
                mutable_secrets=self.settings.mutable_secrets,
                immutable=bool(news.get("immutable")),
            ),
            ignored=request.ignore_changes,
            delete_first=same_place and annotation(news, AUTONAMED) != "true",
        )

    async def create(self, request: rpc.CreateRequest) -> rpc.CreateResponse:
        if request.type == RELEASE:
            return await _thread(lambda: self.releases.create(request))
        return await _thread(lambda: self.objects.create(kind_of(request.type), request))

    async def update(self, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        if request.type == RELEASE:
            return await _thread(lambda: self.releases.update(request))
        return await _thread(lambda: self.objects.update(kind_of(request.type), request))

    async def read(self, request: rpc.ReadRequest) -> rpc.ReadResponse:
        if request.type == RELEASE:
            return await _thread(lambda: self.releases.read(request))
        return await _thread(lambda: self.objects.read(kind_of(request.type), request))

    async def delete(self, request: rpc.DeleteRequest) -> None:
        if request.type == RELEASE:
            await _thread(lambda: self.releases.delete(request))
            return
        await _thread(lambda: self.objects.delete(kind_of(request.type), request))


async def _thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)
