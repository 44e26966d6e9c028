"""V-EXAMPLES: the examples are fetched regularly, and when that last went well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from admin.verify.cluster import found, namespaced
from admin.verify.context import Context
from admin.verify.model import Failed, Register, Skipped, Warned

check = Register()
SYNC = "thinkube-ai-examples-sync"
CLONE = "clone-thinkube-ai-examples"
BATCH = "apis/batch/v1"
OLDEST = timedelta(days=2)
"""Of the last success where the sync runs every day: one run may fail."""


@check("V-EXAMPLES-01", "the examples have their volume and are fetched on schedule", "V-API-02")
def scheduled(context: Context) -> str:
    """Claim bound, CronJob there and not suspended."""
    if not context.settings.examples.repositories:
        raise Skipped("examples.repositories is empty: nothing is fetched.")
    up = "Run `pulumi up --refresh`."
    claim = context.outputs.get("claims", {}).get("examples", "jupyterhub-examples-pvc")
    path = namespaced(context.namespace, "persistentvolumeclaims", claim)
    phase = found(context.cluster, path, f"claim {claim}", up).get("status", {}).get("phase")
    if phase != "Bound":
        raise Failed(f"Claim {claim} is {phase}, not Bound.", "Look at its events (`kubectl describe pvc`).")
    cron = found(
        context.cluster, namespaced(context.namespace, "cronjobs", SYNC, BATCH), f"CronJob {SYNC}", up
    )
    if cron["spec"].get("suspend"):
        raise Failed(f"CronJob {SYNC} is suspended: examples stay as they are.", up)
    context.notes["cron"] = cron
    return f"{claim}; {SYNC} at {cron['spec']['schedule']}"


@check("V-EXAMPLES-02", "the last fetch of the examples went well, and not long ago", "V-EXAMPLES-01")
def fetched(context: Context) -> str:
    """The first clone's Job, and those of the CronJob (also by hand: `kubectl create job --from`)."""
    cron = context.notes["cron"]
    status = cron.get("status") or {}
    jobs = [
        job
        for job in found(
            context.cluster, namespaced(context.namespace, "jobs", api=BATCH), "list of Jobs", ""
        )["items"]
        if _ours(job)
    ]
    successes = [_time(job["status"]["completionTime"]) for job in jobs if _condition(job, "Complete")]
    if status.get("lastSuccessfulTime"):  # its Jobs may be cleared away
        successes.append(_time(status["lastSuccessfulTime"]))
    failures = [_time(job["metadata"]["creationTimestamp"]) for job in jobs if _condition(job, "Failed")]
    look = f"See the log of the newest Job of CronJob {SYNC}; examples.repositories and examples_token say where from."
    if not successes:
        raise Failed("The examples were never fetched.", look, f"{len(failures)} failed Jobs")
    last = max(successes)
    age = datetime.now(UTC) - last
    seen = f"{last:%Y-%m-%d %H:%M} UTC, {_age(age)} ago"
    daily = cron["spec"]["schedule"].split()[2:] == ["*", "*", "*"]
    broken = bool(failures) and max(failures) > last
    if broken and (age > OLDEST or not daily):
        raise Failed(f"Fetching the examples fails; the last success is {_age(age)} old.", look, seen)
    if broken:
        raise Warned("The last fetch of the examples failed; users see what was there before.", look, seen)
    if daily and age > OLDEST:
        raise Warned(f"The examples were fetched {_age(age)} ago, though it is to be every day.", look, seen)
    return seen


def _ours(job: dict[str, Any]) -> bool:
    metadata = job["metadata"]
    owners = [
        owner.get("name") for owner in metadata.get("ownerReferences") or [] if owner.get("kind") == "CronJob"
    ]
    return metadata["name"] == CLONE or SYNC in owners


def _condition(job: dict[str, Any], kind: str) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(entry.get("type") == kind and entry.get("status") == "True" for entry in conditions)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _age(age: timedelta) -> str:
    minutes = age.total_seconds() / 60
    if minutes < 100:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 100 * 60 else f"{age.days} days"
