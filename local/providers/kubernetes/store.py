"""Objects in the cluster: create, apply, read, delete, by the official provider's rules.

Create is a create (an existing object is an error unless upsertExistingObjects is on), update is a
server-side apply, preview is the server's dry run; the state is the live object.
"""

from __future__ import annotations

import secrets
import threading

from pulumi.provider.experimental import provider as rpc

from local.providers.kubernetes import waits
from local.providers.kubernetes.cluster import ApiError, Cluster, Unreachable
from local.providers.kubernetes.kinds import Kind
from local.providers.kubernetes.objects import (
    DELETION_PROPAGATION,
    PATCH_FORCE,
    SKIP_AWAIT,
    TIMEOUT_SECONDS,
    Json,
    annotation,
    checkpoint,
    metadata,
    normalized,
    object_id,
    prune,
    secrets_marked,
    without_read_only,
)
from local.providers.kubernetes.settings import Settings
from local.providers.serve import InitFailed, ProviderError
from local.providers.values import Properties, has_unknown, plain_map, wrap_map

CREATOR = "pulumi-kubernetes"
"""Field manager of a plain create; the first apply takes its fields over, as the official provider's does."""

_EXISTS = (
    " It exists in the cluster already: take it over with `pulumi import`, or set upsertExistingObjects "
    "on the provider, "
    "or give this one another name (a renamed resource needs an alias)."
)


class Objects:
    """The engine's calls for the objects of a configured provider; ``stop`` ends every wait."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop

    def create(self, kind: Kind, request: rpc.CreateRequest) -> rpc.CreateResponse:
        inputs = plain_map(request.properties)
        unpreviewed = rpc.CreateResponse("", request.properties)
        if request.preview and (has_unknown(inputs) or self._settings.cluster is None):
            return unpreviewed
        cluster = self._settings.reach()
        manager = f"{CREATOR}-{secrets.token_hex(4)}"
        try:
            if self._settings.upsert:
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

    def update(self, kind: Kind, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        inputs = plain_map(request.news)
        if request.preview and (has_unknown(inputs) or self._settings.cluster is None):
            return rpc.UpdateResponse(request.news)
        cluster = self._settings.reach()
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
        force = force or self._settings.patch_force or annotation(inputs, PATCH_FORCE) == "true"
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
                f"server-side apply field conflict: {refusal}. Somebody else set these fields; undo "
                f"that, take them out of the "
                f"program, or set the annotation {PATCH_FORCE} (or enablePatchForce on the provider).",
            ) from None

    def _take_over(self, cluster: Cluster, kind: Kind, inputs: Json, manager: str, *, preview: bool) -> bool:
        """Turn the fields of the plain create into applied ones, once; else an apply could never remove
        any. Whether it was needed.
        """
        live = self.live(kind, inputs, missing_ok=True)
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
                self._settings.reach(), kind, live, created=created, seconds=limit, stop=self._stop
            )
        except waits.NotReady as failure:
            state = checkpoint(inputs, failure.live, like, manager)
            raise InitFailed(
                f"{object_id(failure.live)} was {'created' if created else 'updated'}, but did not "
                f"become ready: {failure}",
                object_id(failure.live),
                state,
            ) from None

    def read(self, kind: Kind, request: rpc.ReadRequest) -> rpc.ReadResponse:
        if self._settings.cluster is None:
            if self._settings.delete_unreachable:
                return rpc.ReadResponse("")
            self._settings.reach()
        namespace, _, name = request.resource_id.rpartition("/")
        old_inputs = plain_map(request.inputs)
        try:
            live = self.live(
                kind, {"metadata": {"namespace": namespace or self._settings.namespace, "name": name}}
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

    def delete(self, kind: Kind, request: rpc.DeleteRequest) -> None:
        if self._settings.cluster is None and self._settings.delete_unreachable:
            return
        cluster = self._settings.reach()
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

    def live(self, kind: Kind, obj: Json, *, missing_ok: bool = False) -> Json:
        data = metadata(obj)
        try:
            return self._settings.reach().request("GET", kind.path(data.get("namespace", ""), data["name"]))
        except ApiError as answer:
            if missing_ok and answer.code == 404:
                return {}
            raise
