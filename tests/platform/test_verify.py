"""`make verify` against a stack that works, and against the same stack broken in one way after the other."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
from keycloak import KeycloakAdmin
from kubernetes import client
from playwright.sync_api import Page

from admin.stack import PulumiStack
from admin.verify.checks import CHECKS, chosen
from admin.verify.context import Context, Options, open_context
from admin.verify.model import Finding, Result
from admin.verify.runner import run_checks
from components.verify_service import TOKEN_KEY, VERIFY_USER
from local import platform as parts
from local import seaweed
from local.cluster_parts import api_client, wait_for_deployment
from local.credentials import ADMIN_USER
from local.engine import Stack
from local.ingress import issue_for
from local.paths import REPO
from tests.conftest import Platform
from tests.platform.hub import Hub

NS = parts.TEST.namespace
Break = Callable[["World"], AbstractContextManager[object]]


class World:
    """The running stack, and the ways to break it for a moment."""

    def __init__(self, stack: Stack, platform: Platform) -> None:
        self.stack = PulumiStack(stack.name)
        self.platform = platform
        api = api_client()
        self.core, self.apps, self.batch = (
            client.CoreV1Api(api),
            client.AppsV1Api(api),
            client.BatchV1Api(api),
        )
        self.keycloak = KeycloakAdmin(
            server_url=platform.keycloak_url,
            username=platform.keycloak_admin_username,
            password=platform.keycloak_admin_password,
            user_realm_name="master",
            realm_name=parts.TEST.realm,
            verify=str(platform.ca_file),
        )
        self.client_id = str(self.keycloak.get_client_id("jupyterhub"))

    def context(self, options: Options | None = None) -> Context:
        return open_context(self.stack, options or Options(server=False), 300)

    def verify(self, only: str, options: Options | None = None, **changes: Any) -> dict[str, Finding]:
        """Findings by code; `changes` are attributes of the context."""
        context = self.context(options)
        for name, value in changes.items():
            setattr(context, name, value)
        return {finding.code: finding for finding in run_checks(chosen(only), context)}

    @contextmanager
    def secret(self, name: str, key: str, value: str) -> Iterator[None]:
        """A Secret with another value."""
        before = self.core.read_namespaced_secret(name, NS).data[key]
        changed = base64.b64encode(value.encode()).decode()
        self.core.patch_namespaced_secret(name, NS, {"data": {key: changed}})
        try:
            yield
        finally:
            self.core.patch_namespaced_secret(name, NS, {"data": {key: before}})

    @contextmanager
    def manifest(self, change: Callable[[dict[str, Any]], object]) -> Iterator[None]:
        """The catalogue with its first image changed."""
        name = "jupyterhub-image-catalogue"
        before = self.core.read_namespaced_config_map(name, NS).data["manifest.json"]
        document = json.loads(before)
        change(document["images"][0])
        self.core.patch_namespaced_config_map(name, NS, {"data": {"manifest.json": json.dumps(document)}})
        try:
            yield
        finally:
            self.core.patch_namespaced_config_map(name, NS, {"data": {"manifest.json": before}})

    @contextmanager
    def scaled_to_zero(
        self, name: str, namespace: str, after: Callable[[], object] = lambda: None
    ) -> Iterator[None]:
        """A Deployment without pods; `after` is called once it has them again."""
        self.apps.patch_namespaced_deployment_scale(name, namespace, {"spec": {"replicas": 0}})
        try:
            yield
        finally:
            self.apps.patch_namespaced_deployment_scale(name, namespace, {"spec": {"replicas": 1}})
            wait_for_deployment(namespace, name)
            after()


@pytest.fixture(scope="module")
def world(hub: Hub, hub_stack: Stack, platform: Platform) -> Iterator[World]:
    """A hub without servers, and a thinkube-control that knows its images."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PULUMI_")]:
            patch.delenv(name)
        for name, value in hub_stack.command_env.items():
            patch.setenv(name, value)
        yield World(hub_stack, platform)


def test_all_is_well_after_a_deploy(world: World, hub_stack: Stack) -> None:
    command = [sys.executable, "-m", "admin", "verify", "--stack", hub_stack.name, "--json"]
    done = subprocess.run(
        command, cwd=REPO, env=hub_stack.command_env, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is True
    assert [check["code"] for check in document["checks"]] == [check.code for check in CHECKS]
    results = {check["code"]: check["result"] for check in document["checks"]}
    assert set(results.values()) <= {"ok", "skipped", "warning"}
    assert [code for code, result in results.items() if result == "skipped"] == ["V-STORAGE-01"]  # host paths
    assert results["V-SERVER-02"] == "ok"
    # nothing is left, but for the empty folder
    assert nothing_left(world)
    # progress as it goes, and no secret anywhere
    assert all(check.code in done.stderr for check in CHECKS)
    for secret in (world.platform.keycloak_admin_password, world.platform.harbor_password, token(world)):
        assert secret not in done.stdout + done.stderr


def test_exit_codes(hub_stack: Stack) -> None:
    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "admin", "verify", *arguments],
            cwd=REPO, env={**hub_stack.command_env, **env}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert run("--stack", hub_stack.name, "--only", "V-API").returncode == 0
    assert run("--stack", hub_stack.name, "--only", "V-TLS", "--fail-days", "36500").returncode == 1
    missing = run("--stack", "nosuch")
    assert (missing.returncode, "no stack named 'nosuch'" in missing.stderr) == (2, True)
    locked = run("--stack", hub_stack.name, "--only", "V-IDENTITY-01", PULUMI_CONFIG_PASSPHRASE="wrong")
    assert locked.returncode == 2
    assert "passphrase" in locked.stderr


@contextmanager
def namespace_label(world: World) -> Iterator[None]:
    label = "pod-security.kubernetes.io/enforce"
    world.core.patch_namespace(NS, {"metadata": {"labels": {label: "baseline"}}})
    try:
        yield
    finally:
        world.core.patch_namespace(NS, {"metadata": {"labels": {label: "restricted"}}})


@contextmanager
def client_changed(world: World, **changes: Any) -> Iterator[None]:
    before = world.keycloak.get_client(world.client_id)
    world.keycloak.update_client(world.client_id, {**before, **changes})
    try:
        yield
    finally:
        world.keycloak.update_client(world.client_id, before)


@contextmanager
def no_mapper(world: World) -> Iterator[None]:
    mapper = world.keycloak.get_mappers_from_client(world.client_id)[0]
    world.keycloak.remove_client_mapper(world.client_id, mapper["id"])
    try:
        yield
    finally:
        world.keycloak.add_mapper_to_client(world.client_id, mapper)


@contextmanager
def no_group(world: World) -> Iterator[None]:
    group = next(group for group in world.keycloak.get_groups() if group["name"] == "jupyter_admin")
    world.keycloak.update_group(group["id"], {"name": "renamed"})
    try:
        yield
    finally:
        world.keycloak.update_group(group["id"], {"name": "jupyter_admin"})


@contextmanager
def other_chart(world: World) -> Iterator[None]:
    def label(value: str) -> None:
        world.apps.patch_namespaced_deployment("hub", NS, {"metadata": {"labels": {"helm.sh/chart": value}}})

    before = world.apps.read_namespaced_deployment("hub", NS).metadata.labels["helm.sh/chart"]
    label("jupyterhub-1.0.0")
    try:
        yield
    finally:
        label(before)


@contextmanager
def suspended(world: World) -> Iterator[None]:
    name = "thinkube-ai-examples-sync"
    world.batch.patch_namespaced_cron_job(name, NS, {"spec": {"suspend": True}})
    try:
        yield
    finally:
        world.batch.patch_namespaced_cron_job(name, NS, {"spec": {"suspend": False}})


PULL = json.dumps({"auths": {"harbor.thinkube.test": {"username": "robot$thinkube", "password": "old"}}})


@pytest.mark.parametrize(
    ("code", "breaks", "result", "says"),
    [
        ("V-API-02", namespace_label, Result.FAILED, "level baseline, not restricted"),
        (
            "V-IDENTITY-02", lambda w: client_changed(w, implicitFlowEnabled=True), Result.FAILED,
            "implicit flow is on",
        ),
        (
            "V-IDENTITY-02", lambda w: client_changed(w, redirectUris=["https://*"]), Result.FAILED,
            "redirect URIs are https://*",
        ),
        ("V-IDENTITY-03", no_mapper, Result.FAILED, "No group membership mapper"),
        ("V-IDENTITY-04", no_group, Result.FAILED, "no group jupyter_admin"),
        (
            "V-IDENTITY-05", lambda w: w.secret("jupyterhub-oidc-secret", "client_secret", "x"), Result.FAILED,
            "present secret",
        ),
        (
            "V-IMAGES-02", lambda w: w.manifest(lambda image: image["metadata"].update(digest="sha256:" + "0" * 64)),
            Result.FAILED, "is not there",
        ),
        ("V-IMAGES-03", lambda w: w.secret("harbor-pull", ".dockerconfigjson", PULL), Result.FAILED, "another account"),
        ("V-HUB-01", other_chart, Result.FAILED, "chart jupyterhub-1.0.0, not"),
        ("V-HUB-04", lambda w: w.secret("hub", TOKEN_KEY, "0" * 64), Result.FAILED, "does not take the token"),
        (
            "V-DISCOVERY-02", lambda w: w.manifest(lambda image: image.update(repository="library/other")),
            Result.FAILED, "does not list",
        ),
        (
            "V-GPU-01", lambda w: w.manifest(lambda image: image["metadata"].update(gpu_required=True)),
            Result.WARNING, "needs a GPU",
        ),
        ("V-EXAMPLES-01", suspended, Result.FAILED, "is suspended"),
    ],
)  # fmt: skip
def test_what_is_broken_is_seen(world: World, code: str, breaks: Break, result: Result, says: str) -> None:
    with breaks(world):
        finding = world.verify(code)[code]
    assert (finding.result, says in finding.reason) == (result, True), finding


def test_a_claim_that_nothing_binds(world: World) -> None:
    spec = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "resources": {"requests": {"storage": "1Mi"}},
    }
    world.core.create_namespaced_persistent_volume_claim(
        NS, {"metadata": {"name": "verify-test"}, "spec": spec}
    )
    try:
        outputs = {"claims": {"there": "verify-test", "gone": "verify-gone"}}
        finding = world.verify("V-STORAGE-02", outputs=outputs)["V-STORAGE-02"]
        claims = f"{finding.reason} {finding.seen}"
    finally:
        world.core.delete_namespaced_persistent_volume_claim("verify-test", NS)
    assert "There is no claim verify-gone. Claim verify-test is Pending, not Bound. 0 of 2 bound" in claims


def test_settings_that_name_what_is_not_there(world: World) -> None:
    settings = world.context().settings

    def other(section: str, **changes: Any) -> Any:
        return settings.model_copy(update={section: getattr(settings, section).model_copy(update=changes)})

    storage = {"backend": "storageClass", "storage_class": "none"}
    assert (
        "no StorageClass none"
        in world.verify("V-STORAGE-01", settings=other("storage", **storage))["V-STORAGE-01"].reason
    )
    found = world.verify("V-STORAGE-01", settings=other("storage", backend="seaweedfs-csi"))
    assert "no CSIDriver" in found["V-STORAGE-01"].reason
    found = world.verify("V-IDENTITY-03", settings=other("identity", realm="nowhere"))
    assert "no realm nowhere" in found["V-IDENTITY-01"].reason
    assert found["V-IDENTITY-03"].reason == "Not checked because of V-IDENTITY-02."
    found = world.verify("V-IDENTITY-01", secret=lambda key: "wrong")
    assert "refuses its admin admin" in found["V-IDENTITY-01"].reason
    found = world.verify("V-IMAGES-01", secret=lambda key: "wrong")
    assert "refuses robot$thinkube" in found["V-IMAGES-01"].reason


def test_the_proxy_is_gone(world: World) -> None:
    with world.scaled_to_zero("proxy", NS):
        eventually(lambda: world.verify("V-HUB-03")["V-HUB-03"].result is Result.FAILED)
        found = world.verify("V-HUB-02,V-HUB-04")
    assert found["V-HUB-02"].reason == "Deployment proxy is scaled to 0."
    assert found["V-HUB-04"].reason == "Not checked because of V-HUB-03."
    eventually(lambda: world.verify("V-HUB-04")["V-HUB-04"].result is Result.OK)


def test_thinkube_control_is_gone(world: World, hub: Hub) -> None:
    with world.scaled_to_zero("backend", parts.TEST.control_namespace, after=hub.sync_images):
        eventually(lambda: world.verify("V-DISCOVERY-01")["V-DISCOVERY-01"].result is Result.FAILED)
        eventually(lambda: world.verify("V-DISCOVERY-03")["V-DISCOVERY-03"].result is Result.FAILED)
        found = world.verify("V-DISCOVERY,V-SERVER", Options(server=True))
    assert "no ready endpoint" in found["V-DISCOVERY-01"].reason
    assert found["V-DISCOVERY-02"].result is Result.NOT_CHECKED
    assert "The hub's figures are stale: images" in found["V-DISCOVERY-03"].reason
    # the hub's own words, and nothing left of the try
    assert "did not start: Spawn failed: No answer from thinkube-control" in found["V-SERVER-01"].reason
    assert nothing_left(world)
    eventually(lambda: world.verify("V-DISCOVERY-03")["V-DISCOVERY-03"].result is Result.OK)


def test_another_certificate(world: World) -> None:
    secret = world.core.read_namespaced_secret("jupyterhub-tls", NS)
    cert, key = issue_for("other.thinkube.test")
    data = {
        "tls.crt": base64.b64encode(cert.encode()).decode(),
        "tls.key": base64.b64encode(key.encode()).decode(),
    }
    world.core.patch_namespaced_secret("jupyterhub-tls", NS, {"data": data})
    try:
        eventually(lambda: world.verify("V-TLS-01")["V-TLS-01"].result is Result.FAILED)
        found = world.verify("V-TLS,V-HUB-03")
    finally:
        world.core.patch_namespaced_secret("jupyterhub-tls", NS, {"data": secret.data})
    # none of Traefik's certificates fits the name now: it gives its own
    assert "not trusted: self-signed certificate" in found["V-TLS-01"].reason
    assert found["V-TLS-02"].result is Result.NOT_CHECKED
    assert "is not trusted" in found["V-HUB-03"].reason
    eventually(lambda: world.verify("V-TLS-01")["V-TLS-01"].result is Result.OK)
    aging = world.verify("V-TLS-02", Options(warn_days=36_500))["V-TLS-02"]
    assert aging.result is Result.WARNING


def test_a_volume_that_is_not_writable(world: World) -> None:
    folder = seaweed.folder(parts.TEST.stack) / "notebooks" / VERIFY_USER
    folder.mkdir(exist_ok=True)
    before = folder.stat().st_mode
    folder.chmod(0o500)
    try:
        found = world.verify("V-SERVER", Options(server=True))
    finally:
        folder.chmod(before)
    assert found["V-SERVER-01"].result is Result.OK
    assert found["V-SERVER-02"].result is Result.FAILED
    assert "does not write" in found["V-SERVER-02"].reason
    assert found["V-SERVER-03"].result is Result.OK
    assert nothing_left(world)


def test_the_token_opens_nothing_else(world: World, hub: Hub, page: Page) -> None:
    """Every way round the role that the hub's API offers: somebody else's account, server, files, and more rights."""
    hub.log_in(page, ADMIN_USER)  # so that there is somebody else
    context = world.context()
    headers = {"Authorization": f"token {token(world)}"}

    def ask(method: str, path: str, body: object = None) -> httpx.Response:
        return context.http.request(method, f"{context.url}/{path}", headers=headers, json=body)

    for method, path, body in (
        ("GET", "users", None),
        ("GET", f"users/{ADMIN_USER}", None),
        ("PATCH", f"users/{ADMIN_USER}", {"admin": False}),
        ("DELETE", f"users/{ADMIN_USER}", None),
        ("POST", f"users/{ADMIN_USER}/server", {}),
        ("DELETE", f"users/{ADMIN_USER}/server", None),
        ("GET", f"users/{ADMIN_USER}/server/progress", None),
        ("POST", f"users/{ADMIN_USER}/tokens", {}),
        ("POST", "users/mallory", {}),
        ("POST", "users", {"usernames": ["mallory"]}),
        ("DELETE", f"users/{VERIFY_USER}", None),
        ("POST", f"users/{VERIFY_USER}/tokens", {}),
        ("PATCH", f"users/{VERIFY_USER}", {"admin": True}),
        ("PATCH", f"users/{VERIFY_USER}", {"name": "mallory"}),
        ("POST", "groups/jupyter_admin/users", {"users": [VERIFY_USER]}),
        ("POST", f"shares/{ADMIN_USER}/", {"user": VERIFY_USER}),
        ("GET", "groups", None),
        ("GET", "proxy", None),
        ("POST", "shutdown", {}),
    ):
        answer = ask(method, f"hub/api/{path}", body)
        assert answer.status_code in (403, 404), f"{method} {path}: {answer.status_code} {answer.text}"
    assert hub.notebook_pods() == []


def test_the_token_opens_nobody_elses_server(world: World, hub: Hub, page: Page) -> None:
    hub.log_in(page, ADMIN_USER)
    hub.start(page, ADMIN_USER)
    try:
        context = world.context()
        headers = {"Authorization": f"token {token(world)}"}
        for path in ("api/contents/thinkube/notebooks", "api/kernels", "api/status", "lab"):
            answer = context.http.get(f"{context.url}/user/{ADMIN_USER}/{path}", headers=headers)
            assert answer.status_code in (302, 403), f"{path}: {answer.status_code}"
            assert answer.headers.get("Location", "/hub/").startswith("/hub/")
        stop = context.http.delete(f"{context.url}/hub/api/users/{ADMIN_USER}/server", headers=headers)
        assert stop.status_code in (403, 404)
    finally:
        hub.stop(page)


def token(world: World) -> str:
    return base64.b64decode(world.core.read_namespaced_secret("hub", NS).data[TOKEN_KEY]).decode()


def nothing_left(world: World) -> bool:
    """No server, no pod, no file."""
    context = world.context()
    headers = {"Authorization": f"token {token(world)}"}
    user = context.http.get(f"{context.url}/hub/api/users/{VERIFY_USER}", headers=headers)
    selector = f"hub.jupyter.org/username={VERIFY_USER}"
    pods = world.core.list_namespaced_pod(NS, label_selector=selector).items
    folder = seaweed.folder(parts.TEST.stack) / "notebooks" / VERIFY_USER
    return user.json()["servers"] == {} and not pods and not list(folder.glob("make-verify-*"))


def eventually(holds: Callable[[], bool], within: float = 90) -> None:
    """What needs a moment: caches, routes and probes follow a change."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(2)
