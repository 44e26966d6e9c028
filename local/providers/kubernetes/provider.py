"""The provider: the engine's calls, for objects here and for Helm releases in ``release``.

Create is a create (an existing object is an error unless upsertExistingObjects is on), update is a server-side apply,
preview is the server's dry run; the state is the live object.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable
from typing import TypeVar

from pulumi.provider.experimental import provider as rpc

from local.providers.kubernetes import settings as configuration
from local.providers.kubernetes import waits
from local.providers.kubernetes.cluster import ApiError, Cluster, Unreachable
from local.providers.kubernetes.kinds import RELEASE, Kind, kind_of, replacing
from local.providers.kubernetes.objects import (
    AUTONAMED,
    DELETION_PROPAGATION,
    PATCH_FORCE,
    REPLACE_UNREADY,
    SKIP_AWAIT,
    TIMEOUT_SECONDS,
    Json,
    annotation,
    checkpoint,
    differences,
    metadata,
    normalized,
    object_id,
    prune,
    secrets_marked,
    with_name,
    without_read_only,
)
from local.providers.kubernetes.release import Releases
from local.providers.serve import InitFailed, ProviderError
from local.providers.values import Properties, diff_response, has_unknown, plain_map, wrap_map

T = TypeVar("T")

CREATOR = "pulumi-kubernetes"
"""Field manager of a plain create; the first apply takes its fields over, as the official provider's does."""

_EXISTS = (
    " It exists in the cluster already: take it over with `pulumi import`, or set upsertExistingObjects on the provider, "
    "or give this one another name (a renamed resource needs an alias)."
)


class KubernetesProvider(rpc.Provider):
    """Answers the engine; blocking work runs in threads, since the engine asks for many resources at once."""

    def __init__(self) -> None:
        self.settings = configuration.Settings(unreachable="the provider is not configured")
        self.releases = Releases(self.settings)
        self._stop = threading.Event()

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
            if waits.job_state(await _thread(lambda: self._live(kind, live))) != "Complete":
                answer = diff_response(
                    {**found, where: rpc.PropertyDiffKind.UPDATE}, replacing=[where], delete_first=True
                )
                return answer
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
        return await _thread(lambda: self._create(kind_of(request.type), request))

    async def update(self, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        if request.type == RELEASE:
            return await _thread(lambda: self.releases.update(request))
        return await _thread(lambda: self._update(kind_of(request.type), request))

    async def read(self, request: rpc.ReadRequest) -> rpc.ReadResponse:
        if request.type == RELEASE:
            return await _thread(lambda: self.releases.read(request))
        return await _thread(lambda: self._read(kind_of(request.type), request))

    async def delete(self, request: rpc.DeleteRequest) -> None:
        if request.type == RELEASE:
            await _thread(lambda: self.releases.delete(request))
            return
        await _thread(lambda: self._delete(kind_of(request.type), request))

    def _create(self, kind: Kind, request: rpc.CreateRequest) -> rpc.CreateResponse:
        inputs = plain_map(request.properties)
        unpreviewed = rpc.CreateResponse("", request.properties)
        if request.preview and (has_unknown(inputs) or self.settings.cluster is None):
            return unpreviewed
        cluster = self.settings.reach()
        manager = f"{CREATOR}-{secrets.token_hex(4)}"
        try:
            if self.settings.upsert:
                live = self._apply(
                    cluster, kind, inputs, manager, force=request.preview, preview=request.preview
                )
            else:
                query = {
                    "fieldManager": CREATOR,
                    "fieldValidation": "Strict",
                    **({"dryRun": "All"} if request.preview else {}),
                }
                live = cluster.request(
                    "POST", kind.path(metadata(inputs).get("namespace", "")), query=query, body=inputs
                )
        except ApiError as refusal:
            # A dry run knows nothing of what this very update makes before; nor does the official provider
            # notice in preview that the object exists.
            if request.preview and (refusal.code in (403, 404) or refusal.reason == "AlreadyExists"):
                return unpreviewed
            hint = _EXISTS if refusal.reason == "AlreadyExists" else ""
            raise ProviderError(
                f'resource "{request.urn}" was not successfully created by the Kubernetes API server: {refusal}.{hint}'
            ) from None
        except Unreachable:
            if request.preview:
                return unpreviewed
            raise
        if request.preview:
            live.pop("status", None)
            return rpc.CreateResponse("", checkpoint(inputs, live, request.properties, manager))
        live = self._ready(
            kind, inputs, live, request.properties, manager, created=True, seconds=request.timeout
        )
        return rpc.CreateResponse(object_id(live), checkpoint(inputs, live, request.properties, manager))

    def _update(self, kind: Kind, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        inputs = plain_map(request.news)
        if request.preview and (has_unknown(inputs) or self.settings.cluster is None):
            return rpc.UpdateResponse(request.news)
        cluster = self.settings.reach()
        manager = plain_map(request.olds).get("__fieldManager") or f"{CREATOR}-{secrets.token_hex(4)}"
        try:
            adopting = self._take_over(cluster, kind, inputs, manager, preview=request.preview)
            live = self._apply(
                cluster, kind, inputs, manager, force=adopting and request.preview, preview=request.preview
            )
        except ApiError as refusal:
            if request.preview and refusal.code in (403, 404):
                return rpc.UpdateResponse(request.news)
            raise ProviderError(f'update of resource "{request.urn}" failed: {refusal}') from None
        if request.preview:
            return rpc.UpdateResponse(checkpoint(inputs, live, request.news, manager))
        live = self._ready(kind, inputs, live, request.news, manager, created=False, seconds=request.timeout)
        return rpc.UpdateResponse(checkpoint(inputs, live, request.news, manager))

    def _apply(
        self, cluster: Cluster, kind: Kind, inputs: Json, manager: str, *, force: bool, preview: bool
    ) -> Json:
        force = force or self.settings.patch_force or annotation(inputs, PATCH_FORCE) == "true"
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        body = without_read_only(normalized(inputs))
        path = kind.path(metadata(inputs).get("namespace", ""), metadata(inputs)["name"])
        try:
            return cluster.request(
                "PATCH",
                path,
                query={**query, **({"dryRun": "All"} if preview else {})},
                body=body,
                kind="apply-patch+yaml",
            )
        except ApiError as refusal:
            if refusal.code != 409 or refusal.reason != "Conflict":
                raise
            raise ApiError(
                409,
                refusal.reason,
                f"server-side apply field conflict: {refusal}. Somebody else set these fields; undo that, take them out of the "
                f"program, or set the annotation {PATCH_FORCE} (or enablePatchForce on the provider).",
            ) from None

    def _take_over(self, cluster: Cluster, kind: Kind, inputs: Json, manager: str, *, preview: bool) -> bool:
        """Turn the fields of the plain create into applied ones, once; else an apply could never remove any. Whether it was needed."""
        live = self._live(kind, inputs, missing_ok=True)
        entries = metadata(live).get("managedFields") or []
        ours = [
            e
            for e in entries
            if e.get("manager") == CREATOR and e.get("operation") == "Update" and not e.get("subresource")
        ]
        if not ours or preview:
            return bool(ours)
        kept = [entry for entry in entries if entry not in ours]
        if not any(entry.get("manager") == manager for entry in kept):
            kept.append({**ours[0], "manager": manager, "operation": "Apply"})
        patch = [
            {"op": "replace", "path": "/metadata/managedFields", "value": kept},
            {
                "op": "replace",
                "path": "/metadata/resourceVersion",
                "value": metadata(live)["resourceVersion"],
            },
        ]
        path = kind.path(metadata(live).get("namespace", ""), metadata(live)["name"])
        cluster.request("PATCH", path, body=patch, kind="json-patch+json")
        return True

    def _ready(
        self,
        kind: Kind,
        inputs: Json,
        live: Json,
        like: Properties,
        manager: str,
        *,
        created: bool,
        seconds: float,
    ) -> Json:
        if annotation(inputs, SKIP_AWAIT) == "true":
            return live
        limit = seconds or float(annotation(inputs, TIMEOUT_SECONDS) or 0) or None
        try:
            return waits.until_ready(
                self.settings.reach(), kind, live, created=created, seconds=limit, stop=self._stop
            )
        except waits.NotReady as failure:
            state = checkpoint(inputs, failure.live, like, manager)
            raise InitFailed(
                f"{object_id(failure.live)} was {'created' if created else 'updated'}, but did not become ready: {failure}",
                object_id(failure.live),
                state,
            ) from None

    def _read(self, kind: Kind, request: rpc.ReadRequest) -> rpc.ReadResponse:
        if self.settings.cluster is None:
            if self.settings.delete_unreachable:
                return rpc.ReadResponse("")
            self.settings.reach()
        namespace, _, name = request.resource_id.rpartition("/")
        old_inputs = plain_map(request.inputs)
        try:
            live = self._live(
                kind, {"metadata": {"namespace": namespace or self.settings.namespace, "name": name}}
            )
        except ApiError as answer:
            if answer.code == 404:
                return rpc.ReadResponse("")
            raise
        if old_inputs:
            inputs = without_read_only(prune(live, normalized(old_inputs)))
        else:
            inputs = without_read_only({key: live[key] for key in ("metadata", *kind.fields) if key in live})
        inputs |= {"apiVersion": kind.api_version, "kind": kind.kind}
        manager = plain_map(request.properties).get("__fieldManager") or f"{CREATOR}-{secrets.token_hex(4)}"
        return rpc.ReadResponse(
            request.resource_id,
            checkpoint(inputs, live, request.inputs, manager),
            secrets_marked(wrap_map(inputs), request.inputs),
        )

    def _delete(self, kind: Kind, request: rpc.DeleteRequest) -> None:
        if self.settings.cluster is None and self.settings.delete_unreachable:
            return
        cluster = self.settings.reach()
        state = plain_map(request.properties)
        live = {"metadata": metadata(state)}
        policy = annotation(state, DELETION_PROPAGATION) or "Foreground"
        path = kind.path(metadata(live).get("namespace", ""), metadata(live)["name"])
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": policy[:1].upper() + policy[1:],
        }
        try:
            cluster.request("DELETE", path, body=body)
        except ApiError as answer:
            if answer.code == 404:
                return
            raise
        if annotation(state, SKIP_AWAIT) != "true":
            waits.until_gone(cluster, kind, live, seconds=request.timeout or None, stop=self._stop)

    def _live(self, kind: Kind, obj: Json, *, missing_ok: bool = False) -> Json:
        data = metadata(obj)
        try:
            return self.settings.reach().request("GET", kind.path(data.get("namespace", ""), data["name"]))
        except ApiError as answer:
            if missing_ok and answer.code == 404:
                return {}
            raise


async def _thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)
