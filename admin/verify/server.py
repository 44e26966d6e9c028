"""V-SERVER: one notebook server of the user `thinkube-verify`, from start to nothing left.

The only checks that change something. What they make is taken away at the end of the run, however that ends, and
what an earlier run left (killed with SIGKILL, say) before anything is made.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from admin.verify.cluster import found, namespaced
from admin.verify.context import Context
from admin.verify.hub_api import hub
from admin.verify.model import Failed, Register, Skipped
from components.notebook_values import HOME, NOTEBOOKS
from components.verify_service import VERIFY_USER

check = Register()
USER = f"hub/api/users/{VERIFY_USER}"
FOLDER = NOTEBOOKS.removeprefix(f"{HOME}/")
"""of the notebooks, as the Contents API of the server counts paths"""
PREFIX = "make-verify-"
"""how the names of our files begin; nothing else is ever deleted"""
STOP_TIMEOUT = 90.0
"""Seconds for the server, and then its pod, to be gone: the pod's grace period is 10 s."""
PAUSE = 2.0


@check("V-SERVER-01", "a notebook server starts", "V-HUB-04")
def starts(context: Context) -> str:
    """Smallest size and default image, until the hub calls it ready."""
    if not context.options.server:
        raise Skipped("Switched off by --no-server.")
    if hub(context, "GET", USER).status_code == 404:
        raise Failed(
            f"The hub has no user {VERIFY_USER}; it makes it at its start.",
            f"Restart it: `kubectl rollout restart -n {context.namespace} deployment/hub`.",
        )
    context.cleanup.callback(_remove_quietly, context)
    if left := remove(context):
        raise Failed(f"An earlier run left what cannot be removed: {'; '.join(left)}.", _by_hand(context))
    size, image = context.settings.profiles.sizes[0].slug, context.settings.images.default
    begin = time.monotonic()
    answer = hub(context, "POST", f"{USER}/server", json={"profile": size, "image": image})
    _expect(answer, (201, 202), f"start a server ({image}, {size})")
    patience = context.settings.hub.start_timeout_seconds + 30.0

    def ready() -> bool:
        state = _state(context)
        servers = state.get("servers") or {}
        # a start that failed leaves no server, and nothing pending
        if not servers:
            raise Failed(
                f"The server did not start: {_trouble(context, ended=True)}.",
                "See the hub's log and `kubectl get events`; V-IMAGES-02 and V-STORAGE-02 name what a pod needs.",
            )
        return bool(servers[""].get("ready"))

    if not _wait(context, ready, patience):
        raise Failed(
            f"The server is not ready after {time.monotonic() - begin:.0f} s: {_trouble(context, ended=False)}.",
            "See `kubectl describe pod` and the server's log; one cause is a cluster without room.",
        )
    return f"{image}, {size}: ready after {time.monotonic() - begin:.0f} s"


@check("V-SERVER-02", "it writes and reads a file in ~/thinkube/notebooks", "V-SERVER-01")
def writes(context: Context) -> str:
    """Through the public URL, with Jupyter's Contents API: Ingress, proxy, server and volume in one."""
    path = f"{FOLDER}/{PREFIX}{uuid.uuid4().hex[:12]}.txt"
    content = f"written by make verify, {uuid.uuid4().hex}\n"
    remedy = "See V-STORAGE-02 and the server's log; 403 means that the volume's folder is not writable for 1000:100."
    begin = time.monotonic()
    written = _contents(context, "PUT", path, json={"type": "file", "format": "text", "content": content})
    if written.status_code != 201:
        raise Failed(
            f"The server does not write {path} (HTTP {written.status_code}): {_said(written)}.", remedy
        )
    read = _contents(context, "GET", path, params={"content": "1"})
    if read.status_code != 200 or read.json().get("content") != content:
        raise Failed(f"The server does not read back what it wrote (HTTP {read.status_code}).", remedy)
    return f"{path}: {len(content)} bytes, {(time.monotonic() - begin) * 1000:.0f} ms"


@check("V-SERVER-03", "it stops, and file and pod are gone", "V-SERVER-01")
def stops(context: Context) -> str:
    """The same clean-up that every run ends with, with its result looked at."""
    left = remove(context)
    if left:
        raise Failed(f"Left behind: {'; '.join(left)}.", _by_hand(context))
    return f"server, pod and file are gone; {VERIFY_USER}'s empty folder stays on the volume"


def remove(context: Context) -> list[str]:
    """Take away files, server and pod; return what could not be. Repeatable; nothing there is fine."""
    left = []
    answer = hub(context, "GET", USER)
    if answer.status_code == 404:
        return _pods(context)
    server = (answer.json().get("servers") or {}).get("")
    if server and server.get("ready"):
        try:
            left += _remove_files(context)
        except (Failed, ValueError, TypeError, KeyError) as fault:
            left.append(f"files {PREFIX}*: {fault}")  # the server goes all the same
    if server:
        hub(context, "DELETE", f"{USER}/server")
        # a server that is still starting is not stopped at once: ask again until it is gone
        if not _wait(context, lambda: _stopped(context), STOP_TIMEOUT, past_deadline=True):
            left.append(f"the server of {VERIFY_USER}")
    if not _wait(context, lambda: not _pods(context), STOP_TIMEOUT, past_deadline=True):
        left += _pods(context)
    return left


def _by_hand(context: Context) -> str:
    return (
        f"Stop it in the hub's admin page, or `kubectl delete pod -n {context.namespace}`; see the hub's log."
    )


def _remove_quietly(context: Context) -> None:
    """At the end of a run, which may have ended because the hub is away: say what is left, raise nothing."""
    try:
        left = remove(context)
    except Exception as fault:  # whatever it is: other clean-up comes after this one
        left = [f"{VERIFY_USER}: {fault}"]
    if left:
        print(f"The clean-up was not complete: {'; '.join(left)}. The next run tries again.", file=sys.stderr)


def _remove_files(context: Context) -> list[str]:
    listed = _contents(context, "GET", FOLDER, params={"content": "1"})
    if listed.status_code != 200:
        return [f"files {PREFIX}* (HTTP {listed.status_code})"]
    left = []
    for entry in listed.json().get("content") or []:
        if str(entry["name"]).startswith(PREFIX):
            gone = _contents(context, "DELETE", f"{FOLDER}/{entry['name']}")
            if gone.status_code not in (204, 404):
                left.append(f"{FOLDER}/{entry['name']} (HTTP {gone.status_code})")
    return left


def _contents(context: Context, method: str, path: str, **arguments: Any) -> httpx.Response:
    return hub(context, method, f"user/{VERIFY_USER}/api/contents/{path}", **arguments)


def _state(context: Context) -> dict[str, Any]:
    answer = hub(context, "GET", USER)
    _expect(answer, 200, "look at its user")
    state: dict[str, Any] = answer.json()
    return state


def _stopped(context: Context) -> bool:
    if not (_state(context).get("servers") or {}):
        return True
    hub(context, "DELETE", f"{USER}/server")
    return False


def _pods(context: Context) -> list[str]:
    pods = found(
        context.cluster,
        namespaced(context.namespace, "pods"),
        "list of pods",
        "",
        labelSelector=f"component=singleuser-server,hub.jupyter.org/username={VERIFY_USER}",
    )["items"]
    return [f"pod {pod['metadata']['name']}" for pod in pods]


def _trouble(context: Context, *, ended: bool) -> str:
    """Why a start fails, as far as it is told: by the hub once it has `ended` (its progress page's last event), and by
    the cluster's warnings about the pod.
    """
    told = []
    if ended:
        # a stream of events, which is over at once when nothing is pending
        stream = hub(context, "GET", f"{USER}/server/progress")
        events = [json.loads(line[5:]) for line in stream.text.splitlines() if line.startswith("data:")]
        told += [str(event["message"]).rstrip(".") for event in events if event.get("failed")][-1:]
    listed = found(context.cluster, namespaced(context.namespace, "events"), "list of events", "")["items"]
    told += [
        str(event.get("message")).rstrip(".")
        for event in listed
        if VERIFY_USER in str(event.get("involvedObject", {}).get("name")) and event.get("type") != "Normal"
    ][-2:]
    return "; ".join(told) or "neither hub nor cluster tell why"


def _wait(context: Context, done: Callable[[], bool], timeout: float, *, past_deadline: bool = False) -> bool:
    """Whether `done` within `timeout` seconds, and within the run's deadline unless cleaning up."""
    ends = time.monotonic() + (timeout if past_deadline else min(timeout, context.remaining()))
    while not done():
        if time.monotonic() + PAUSE > ends:
            return False
        time.sleep(PAUSE)
    return True


def _expect(answer: httpx.Response, status: int | tuple[int, ...], what: str) -> None:
    """Raises Failed unless the hub did it, with its own words."""
    wanted = (status,) if isinstance(status, int) else status
    if answer.status_code not in wanted:
        raise Failed(
            f"The hub refused to {what} (HTTP {answer.status_code}): {_said(answer)}.",
            "See the hub's log; 403 means that its role is not the one of this program: run `pulumi up`.",
        )


def _said(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message") or answer.reason_phrase).rstrip(".")
    except (ValueError, AttributeError):
        return answer.reason_phrase
