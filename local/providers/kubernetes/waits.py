"""What "ready" and "gone" mean per kind, as the official provider waits for it (its ``provider/pkg/await``).

Polls the API server; a watch would save little here. Everything has a deadline, and the error says what
it still waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from local.providers.kubernetes.cluster import ApiError, Cluster
from local.providers.kubernetes.kinds import Kind
from local.providers.kubernetes.objects import Json, metadata
from local.providers.serve import ProviderError

DEFAULT_SECONDS = 600.0
_SECONDS = {"PersistentVolume": 300.0, "PersistentVolumeClaim": 300.0}
_POLL = 0.25


class NotReady(ProviderError):
    """The object exists but did not become ready; ``live`` is its last known state."""

    def __init__(self, text: str, live: Json) -> None:
        super().__init__(text)
        self.live = live


def until_ready(
    cluster: Cluster, kind: Kind, live: Json, *, created: bool, seconds: float | None, stop: threading.Event
) -> Json:
    """Wait until the object is ready and return it; at once for kinds that have no such state. Raises
    NotReady.
    """
    check = _CHECKS.get(kind.kind)
    if check is None:
        return live
    deadline = time.monotonic() + (seconds or _SECONDS.get(kind.kind, DEFAULT_SECONDS))
    data = metadata(live)
    while True:
        missing = check(cluster, live, created)
        if missing is None:
            return live
        if stop.is_set() or time.monotonic() > deadline:
            ended = "The operation was cancelled" if stop.is_set() else _late(kind, data["name"])
            raise NotReady(f"{ended}: {missing}.", live)
        stop.wait(_POLL)
        live = cluster.request("GET", kind.path(data.get("namespace", ""), data["name"]))


def _late(kind: Kind, name: str) -> str:
    """The official provider's words when the time is up; it says no more, the stand-in also what is missing."""
    if kind.kind in ("Ingress", "Job"):
        return f"'{name}' timed out waiting to be Ready"
    return f"Timeout occurred polling for '{name}'"


def until_gone(
    cluster: Cluster, kind: Kind, live: Json, *, seconds: float | None, stop: threading.Event
) -> None:
    """Wait until the object, or at least this incarnation of it, is gone. Raises NotReady with what holds
    it.
    """
    deadline = time.monotonic() + (seconds or DEFAULT_SECONDS)
    data = metadata(live)
    while True:
        try:
            found = cluster.request("GET", kind.path(data.get("namespace", ""), data["name"]))
        except ApiError as answer:
            if answer.code == 404:
                return
            raise
        if data.get("uid") and metadata(found).get("uid") != data["uid"]:
            return
        if stop.is_set() or time.monotonic() > deadline:
            held = ", ".join(metadata(found).get("finalizers") or []) or "nothing known"
            raise NotReady(
                f"{kind.resource} {data['name']} is still being deleted; it is held by: {held}.", found
            )
        stop.wait(_POLL)


def job_state(job: Json) -> str:
    """``Complete``, ``Failed``, or empty while the Job runs."""
    conditions = job.get("status", {}).get("conditions") or []
    return next(
        (c["type"] for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), ""
    )


def _volume(_: Cluster, volume: Json, __: bool) -> str | None:
    phase = volume.get("status", {}).get("phase", "unknown")
    if phase in ("Available", "Bound"):
        return None
    return f"PersistentVolume {metadata(volume)['name']} is {phase}, not Available or Bound"


def _claim(cluster: Cluster, claim: Json, created: bool) -> str | None:
    phase = claim.get("status", {}).get("phase", "unknown")
    late = _binding_mode(cluster, claim) == "WaitForFirstConsumer"
    if phase == "Bound" and late and created:
        # The official provider waits here until its time is up; five minutes that no one needs.
        raise NotReady(
            f"PersistentVolumeClaim {metadata(claim)['name']} is Bound already, and with a "
            f"WaitForFirstConsumer class the provider "
            "waits for Pending on create: set the annotation pulumi.com/skipAwait on a claim that is "
            "adopted.",
            claim,
        )
    if phase == "Bound" or (late and phase == "Pending"):
        return None
    return f"PersistentVolumeClaim {metadata(claim)['name']} is {phase}, not Bound"


def _binding_mode(cluster: Cluster, claim: Json) -> str:
    name = claim.get("spec", {}).get("storageClassName")
    if not name:
        return ""
    try:
        return str(
            cluster.request("GET", f"/apis/storage.k8s.io/v1/storageclasses/{name}").get(
                "volumeBindingMode", ""
            )
        )
    except ApiError:
        return ""  # a class may be only a label that pairs claims with volumes


def _secret(_: Cluster, secret: Json, __: bool) -> str | None:
    if secret.get("type") == "kubernetes.io/service-account-token" and not secret.get("data"):
        return f"Secret {metadata(secret)['name']} has no token yet"
    return None


def _job(cluster: Cluster, job: Json, __: bool) -> str | None:
    state = job_state(job)
    if state == "Failed":
        failed: Json = next((c for c in job["status"]["conditions"] if c["type"] == "Failed"), {})
        reasons = [f"[{failed.get('reason', '')}] {failed.get('message', '')}", *_last_words(cluster, job)]
        raise NotReady("; ".join(reasons), job)
    return None if state else f"Job {metadata(job)['name']} has not completed"


def _last_words(cluster: Cluster, job: Json) -> list[str]:
    """How the containers of a Job's pods ended, in their own words: what the official provider's pod checker adds."""
    data = metadata(job)
    pods = cluster.request(
        "GET",
        f"/api/v1/namespaces/{data['namespace']}/pods",
        query={"labelSelector": f"batch.kubernetes.io/job-name={data['name']}"},
    )
    words = []
    for pod in pods.get("items", []):
        for status in pod.get("status", {}).get("containerStatuses") or []:
            ended = status.get("state", {}).get("terminated") or {}
            if ended.get("reason") and ended.get("message"):
                words.append(f"[Pod {metadata(pod)['name']}]: [{ended['reason']}] {ended['message'].strip()}")
    return words


def _ingress(cluster: Cluster, ingress: Json, _: bool) -> str | None:
    name = metadata(ingress)["name"]
    for service in sorted(_backends(ingress.get("spec", {}))):
        path = f"/api/v1/namespaces/{metadata(ingress)['namespace']}/services/{service}"
        try:
            found = cluster.request("GET", path)
        except ApiError as answer:
            if answer.code == 404:
                return f"Ingress {name} points to the Service {service}, which does not exist"
            raise
        if found["spec"].get("type") != "ExternalName" and not _has_endpoints(cluster, found):
            return f"Ingress {name} points to the Service {service}, which has no ready endpoint"
    if not ingress.get("status", {}).get("loadBalancer", {}).get("ingress"):
        return f"Ingress {name} has no address in status.loadBalancer; its controller has to publish one"
    return None


def _backends(spec: Json) -> set[str]:
    paths = [path for rule in spec.get("rules") or [] for path in (rule.get("http") or {}).get("paths") or []]
    backends = [path.get("backend") or {} for path in paths] + [spec.get("defaultBackend") or {}]
    return {backend["service"]["name"] for backend in backends if backend.get("service")}


def _has_endpoints(cluster: Cluster, service: Json) -> bool:
    namespace, name = metadata(service)["namespace"], metadata(service)["name"]
    slices = cluster.request(
        "GET",
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        query={"labelSelector": f"kubernetes.io/service-name={name}"},
    )
    endpoints: list[Any] = [e for item in slices.get("items", []) for e in item.get("endpoints") or []]
    return any(endpoint.get("conditions", {}).get("ready", True) for endpoint in endpoints)


_CHECKS: dict[str, Callable[[Cluster, Json, bool], str | None]] = {
    "PersistentVolume": _volume,
    "PersistentVolumeClaim": _claim,
    "Secret": _secret,
    "Job": _job,
    "Ingress": _ingress,
}
