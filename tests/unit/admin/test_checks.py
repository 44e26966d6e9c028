"""Each check with each of its reasons: one thing broken in a stack where all is well, and what is said about it.

V-SERVER and V-TLS-01 have tests of their own (test_server.py, test_tls.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from admin.verify.checks import chosen
from admin.verify.cluster import Refused
from admin.verify.context import Context
from admin.verify.model import Finding, Result
from admin.verify.runner import run_checks
from tests.unit.admin import world as w
from tests.unit.admin.fakes import FakeCluster, FakeWeb

OK, FAILED, WARNING, SKIPPED = Result.OK, Result.FAILED, Result.WARNING, Result.SKIPPED
GONE = httpx.ConnectError("connection refused")
LATE = httpx.ReadTimeout("timed out")
FORBIDDEN = Refused(403, "forbidden")


@dataclass
class Case:
    """`code` ends as `result` and says `says`, once `objects` and `answers` are put in and `settings` are made."""

    code: str
    result: Result
    says: str
    objects: dict[str, Any] = field(default_factory=dict)
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def got(url: str, answer: Any, method: str = "GET") -> dict[tuple[str, str], Any]:
    return {(method, url): answer}


def status(url: str, code: int, method: str = "GET") -> dict[tuple[str, str], Any]:
    return {(method, url): httpx.Response(code, json={})}


def scaled(name: str, **changes: Any) -> dict[str, Any]:
    made = w.deployment(name)
    made["status"] |= {key: value for key, value in changes.items() if key in made["status"]}
    made["spec"] |= {key: value for key, value in changes.items() if key == "replicas"}
    made["metadata"] |= {key: value for key, value in changes.items() if key in ("labels", "generation")}
    return {f"{w.APPS}/{name}": made}


def mapper(**changes: str) -> dict[tuple[str, str], Any]:
    made = w.client()
    made["protocolMappers"][0]["config"] |= changes
    return got(w.CLIENT, [made])


def nodes(**status: Any) -> dict[str, Any]:
    return {"/api/v1/nodes": {"items": [{"metadata": {"name": "n1"}, "status": status}]}}


PVC = f"{w.NS}/persistentvolumeclaims"
PENDING = {"status": {"phase": "Pending"}}
CSI = {"storage": {"backend": "seaweedfs-csi"}}
CLASS = {"storage": {"backend": "storageClass", "storageClass": "fast"}}
CSINODES = "/apis/storage.k8s.io/v1/csinodes"
OIDC = f"{w.NS}/secrets/jupyterhub-oidc-secret"
HUB_SECRET = f"{w.NS}/secrets/hub"
JUPYTER = f"{w.CONTROL}/backend:8000/proxy/api/v1/images/jupyter"
WHO = f"{w.HUB}/hub/api/user"
GPU = {"nvidia.com/gpu": "2"}

CASES = [
    Case("V-API-01", FAILED, "No answer from the API server: refused", {"/version": OSError("refused")}),
    Case("V-API-01", FAILED, "No answer from the API server: forbidden", {"/version": FORBIDDEN}),
    Case("V-API-01", FAILED, "older than 1.28", {"/version": {"gitVersion": "v1.27.9"}}),
    Case("V-API-01", OK, "v1.28.0+k3s1", {"/version": {"gitVersion": "v1.28.0+k3s1"}}),
    Case("V-API-02", FAILED, "There is no namespace jupyterhub", {w.NS: None}),
    Case("V-API-02", FAILED, "does not show namespace jupyterhub (HTTP 403", {w.NS: FORBIDDEN}),
    Case("V-API-02", FAILED, "level none, not restricted", {w.NS: {"metadata": {}}}),
    Case("V-STORAGE-01", SKIPPED, "hostPath"),
    Case("V-STORAGE-01", FAILED, "no StorageClass fast", settings=CLASS),
    Case("V-STORAGE-01", OK, "fast", {"/apis/storage.k8s.io/v1/storageclasses/fast": {}}, settings=CLASS),
    Case("V-STORAGE-01", OK, "2 nodes", settings=CSI),
    Case(
        "V-STORAGE-01", FAILED, "no CSIDriver seaweedfs-csi-driver",
        {"/apis/storage.k8s.io/v1/csidrivers/seaweedfs-csi-driver": None}, settings=CSI,
    ),
    Case(
        "V-STORAGE-01", FAILED, "on no node",
        {CSINODES: {"items": [{"metadata": {"name": "n1"}, "spec": {"drivers": None}}]}}, settings=CSI,
    ),
    Case(
        "V-STORAGE-01", WARNING, "missing on n1",
        {CSINODES: {"items": [
            {"metadata": {"name": "n1"}, "spec": {}},
            {"metadata": {"name": "n2"}, "spec": {"drivers": [{"name": "seaweedfs-csi-driver"}]}},
        ]}},
        settings=CSI,
    ),
    Case("V-STORAGE-02", FAILED, "no claim jupyter-notebooks-pvc", {f"{PVC}/jupyter-notebooks-pvc": None}),
    Case("V-STORAGE-02", FAILED, "jupyter-notebooks-pvc is Pending", {f"{PVC}/jupyter-notebooks-pvc": PENDING}),
    Case("V-STORAGE-03", FAILED, "no claim hub-db-dir", {f"{PVC}/hub-db-dir": None}),
    Case("V-STORAGE-03", FAILED, "hub-db-dir is Pending", {f"{PVC}/hub-db-dir": PENDING}),
    Case("V-IDENTITY-01", FAILED, "cannot be reached", answers=got(w.ISSUER, GONE)),
    Case("V-IDENTITY-01", FAILED, "does not answer in time", answers=got(w.ISSUER, LATE)),
    Case("V-IDENTITY-01", FAILED, "has no realm thinkube", answers=status(w.ISSUER, 404)),
    Case("V-IDENTITY-01", FAILED, "answers HTTP 502", answers=status(w.ISSUER, 502)),
    Case(
        "V-IDENTITY-01", FAILED, "something else than JSON",
        answers=got(w.ISSUER, httpx.Response(200, text="<html>")),
    ),
    Case("V-IDENTITY-01", FAILED, "calls itself http://x", answers=got(w.ISSUER, {"issuer": "http://x"})),
    Case("V-IDENTITY-01", FAILED, "refuses its admin admin", answers=status(w.LOGIN, 401, "POST")),
    Case("V-IDENTITY-02", FAILED, "no client jupyterhub", answers=got(w.CLIENT, [])),
    Case("V-IDENTITY-02", FAILED, "may not read realm", answers=status(w.CLIENT, 403)),
    *(
        Case("V-IDENTITY-02", FAILED, says, answers=got(w.CLIENT, [w.client(**change)]))
        for change, says in (
            ({"enabled": False}, "disabled"),
            ({"publicClient": True}, "public"),
            ({"standardFlowEnabled": False}, "standard flow is off"),
            ({"implicitFlowEnabled": True}, "implicit flow is on"),
            ({"directAccessGrantsEnabled": True}, "direct access grants"),
            ({"serviceAccountsEnabled": True}, "service account"),
            ({"attributes": {}}, "PKCE with S256 is not demanded"),
            (
                {"attributes": {
                    "pkce.code.challenge.method": "S256", "oauth2.device.authorization.grant.enabled": "true",
                }},
                "device flow",
            ),
            ({"redirectUris": [f"{w.HUB}/*"]}, f"redirect URIs are {w.HUB}/*, not"),
            ({"redirectUris": [f"{w.HUB}/hub/oauth_callback", "https://evil.example"]}, "https://evil.example"),
            ({"redirectUris": []}, "redirect URIs are none"),
        )
    ),
    Case("V-IDENTITY-03", FAILED, "No group membership", answers=got(w.CLIENT, [w.client(protocolMappers=[])])),
    Case("V-IDENTITY-03", FAILED, "have one: roles", answers=mapper(**{"claim.name": "roles"})),
    Case("V-IDENTITY-03", FAILED, "writes names where the hub expects paths", answers=mapper(**{"full.path": "false"})),
    Case("V-IDENTITY-03", FAILED, "userinfo", answers=mapper(**{"userinfo.token.claim": "false"})),
    Case("V-IDENTITY-04", FAILED, "no group jupyter_admin",
         answers=status(f"{w.ADMIN}/group-by-path/jupyter_admin", 404)),
    Case("V-IDENTITY-04", FAILED, "no group team/staff (", answers=status(f"{w.ADMIN}/group-by-path/team/staff", 404),
         settings={"identity": {"allowedGroups": ["team/staff"]}}),
    Case("V-IDENTITY-03", FAILED, "writes paths where the hub expects names",
         settings={"identity": {"groupsFullPath": False}}),
    Case("V-IDENTITY-03", SKIPPED, "client scope", settings={"identity": {"createClient": False, "groupsMapper": ""}}),
    Case("V-IDENTITY-02", OK, w.HUB, answers=got(w.CLIENT, [w.client(redirectUris=[
        "https://other.example.org/callback", f"{w.HUB}/hub/oauth_callback"])]),
         settings={"identity": {"createClient": False}}),
    Case("V-IDENTITY-02", FAILED, "not https://jupyter.example.org/hub/oauth_callback.",
         answers=got(w.CLIENT, [w.client(redirectUris=["https://other.example.org/callback"])]),
         settings={"identity": {"createClient": False}}),
    Case("V-IDENTITY-05", FAILED, "no Secret jupyterhub-oidc-secret", {OIDC: None}),
    Case("V-IDENTITY-05", FAILED, "does not hold the client's present secret", {OIDC: w.encoded(client_secret="x")}),
    Case("V-IDENTITY-05", FAILED, "does not hold", {OIDC: w.encoded(client_secret="")},
         got(f"{w.CLIENT}/c1/client-secret", {"value": ""})),
    Case("V-IMAGES-01", FAILED, "cannot be reached", answers=got(f"{w.REGISTRY}/", GONE)),
    Case("V-IMAGES-01", FAILED, "refuses robot$thinkube (HTTP 401)", answers=status(f"{w.REGISTRY}/", 401)),
    Case("V-IMAGES-01", FAILED, "answers HTTP 404", answers=status(f"{w.REGISTRY}/", 404)),
    Case("V-IMAGES-02", FAILED, "is not there", answers=status(w.MANIFEST, 404, "HEAD")),
    Case("V-IMAGES-02", FAILED, "HTTP 403", answers=status(w.MANIFEST, 403, "HEAD")),
    Case("V-IMAGES-02", FAILED, "has another digest",
         answers=got(w.MANIFEST, httpx.Response(200, headers={"Docker-Content-Digest": "sha256:b"}), "HEAD")),
    Case("V-IMAGES-02", FAILED, "no ConfigMap", {w.CATALOGUE: None}),
    Case("V-IMAGES-02", FAILED, "no readable manifest.json", {w.CATALOGUE: {"data": {"manifest.json": "{"}}}),
    Case("V-IMAGES-02", FAILED, "lists no image", {w.CATALOGUE: {"data": {"manifest.json": '{"images": []}'}}}),
    Case("V-IMAGES-03", FAILED, "no Secret harbor-pull", {w.PULL: None}),
    Case("V-IMAGES-03", FAILED, "another account or password", {w.PULL: w.docker_config("old")}),
    Case("V-IMAGES-03", FAILED, "no account for", {w.PULL: w.encoded(**{".dockerconfigjson": '{"auths": {}}'})}),
    Case("V-IMAGES-03", FAILED, "no readable", {w.PULL: w.encoded(**{".dockerconfigjson": "[]"})}),
    Case("V-HUB-01", FAILED, "no Helm release", {w.RECORDS: {"items": []}}),
    Case("V-HUB-01", FAILED, "pending-upgrade at revision 10",
         {w.RECORDS: {"items": [w.record(9, "deployed"), w.record(10, "pending-upgrade")]}}),
    Case("V-HUB-01", FAILED, "no Deployment hub", {f"{w.APPS}/hub": None}),
    Case("V-HUB-01", FAILED, "0 of 1 pods", scaled("hub", availableReplicas=0)),
    Case("V-HUB-01", FAILED, "scaled to 0", scaled("hub", replicas=0)),
    Case("V-HUB-01", FAILED, "roll-out", scaled("hub", generation=2)),
    Case("V-HUB-01", FAILED, "roll-out", scaled("hub", updatedReplicas=0)),
    Case("V-HUB-01", FAILED, "chart jupyterhub-4.3.0, not jupyterhub-4.4.0",
         scaled("hub", labels={"helm.sh/chart": "jupyterhub-4.3.0"})),
    Case("V-HUB-01", FAILED, "not reg/hub:2 (hub.image)",
         settings={"hub": {"tls": {"secretName": "t"}, "image": {"name": "reg/hub", "tag": "2"}}}),
    Case("V-HUB-02", FAILED, "no Deployment proxy", {f"{w.APPS}/proxy": None}),
    Case("V-HUB-02", FAILED, "scaled to 0", scaled("proxy", replicas=0)),
    Case("V-HUB-02", FAILED, "0 of 1 pods", scaled("proxy", availableReplicas=0)),
    Case("V-HUB-03", FAILED, "HTTP 503 to /hub/health", answers=status(f"{w.HUB}/hub/health", 503)),
    Case("V-HUB-03", FAILED, "cannot be reached", answers=got(f"{w.HUB}/hub/health", GONE)),
    Case("V-HUB-04", FAILED, "no Secret hub", {HUB_SECRET: None}),
    Case("V-HUB-04", FAILED, "has no hub.services.verify.apiToken", {HUB_SECRET: w.encoded(other="x")}),
    Case("V-HUB-04", FAILED, "does not take the token", answers=status(WHO, 403)),
    Case("V-HUB-04", FAILED, "answers HTTP 500", answers=status(WHO, 500)),
    Case("V-HUB-04", FAILED, "of user ada", answers=got(WHO, {"kind": "user", "name": "ada"})),
    *(
        Case("V-HUB-04", FAILED, f"more than it needs: {scope}",
             answers=got(WHO, {"kind": "service", "name": "verify", "scopes": [scope, "read:metrics"]}))
        for scope in (
            "admin:users", "servers", "access:servers!user=ada", "servers!user=thinkube-verify2",
            "admin:users!user=thinkube-verify", "users!user=thinkube-verify",
        )
    ),
    Case("V-DISCOVERY-01", FAILED, "no Service thinkube-control/backend", {f"{w.CONTROL}/backend": None}),
    Case("V-DISCOVERY-01", FAILED, "no ready endpoint", {w.SLICES: {"items": []}}),
    Case("V-DISCOVERY-01", FAILED, "no ready endpoint",
         {w.SLICES: {"items": [{"endpoints": [{"conditions": {"ready": False}}]}]}}),
    Case("V-DISCOVERY-01", OK, "1 ready", {w.SLICES: {"items": [{"endpoints": [{}]}]}}),
    Case("V-DISCOVERY-01", SKIPPED, "no Service of this cluster",
         settings={"control": {"url": "https://control.example.org/api/v1"}}),
    Case("V-DISCOVERY-02", FAILED, "(HTTP 503", {JUPYTER: Refused(503, "no endpoints available")}),
    Case("V-DISCOVERY-02", FAILED, "There is no answer of thinkube-control", {JUPYTER: None}),
    Case("V-DISCOVERY-02", FAILED, "does not list tk-jupyter-scipy", {JUPYTER: []}),
    Case("V-DISCOVERY-02", FAILED, "does not list", {JUPYTER: [{**w.listed_image("abc"), "metadata": None}]}),
    Case("V-DISCOVERY-02", WARNING, "another tag", {JUPYTER: [w.listed_image("old")]}),
    Case("V-DISCOVERY-03", FAILED, "HTTP 403 to /hub/metrics", answers=status(f"{w.HUB}/hub/metrics", 403)),
    Case("V-DISCOVERY-03", FAILED, "have no thinkube_discovery_age_seconds",
         answers=got(f"{w.HUB}/hub/metrics", w.metrics(images=""))),
    Case("V-DISCOVERY-03", FAILED, "stale: resources (301 s)",
         answers=got(f"{w.HUB}/hub/metrics", w.metrics(resources="301.0"))),
    Case("V-DISCOVERY-03", FAILED, "catalogue (no answer so far)",
         answers=got(f"{w.HUB}/hub/metrics", w.metrics(catalogue="+Inf"))),
    Case("V-EXAMPLES-01", SKIPPED, "nothing is fetched", settings={"examples": {"repositories": []}}),
    Case("V-EXAMPLES-01", FAILED, "no claim jupyterhub-examples-pvc", {f"{PVC}/jupyterhub-examples-pvc": None}),
    Case("V-EXAMPLES-01", FAILED, "is Pending", {f"{PVC}/jupyterhub-examples-pvc": PENDING}),
    Case("V-EXAMPLES-01", FAILED, "no CronJob", {w.CRON: None}),
    Case("V-EXAMPLES-01", FAILED, "suspended", {w.CRON: {"spec": {"schedule": "23 4 * * *", "suspend": True}}}),
    Case("V-EXAMPLES-02", FAILED, "never fetched", {w.CRON: {"spec": {"schedule": "23 4 * * *"}}}),
    Case("V-EXAMPLES-02", WARNING, "last fetch of the examples failed",
         {w.JOBS: {"items": [w.job("a", "Failed", w.ago(hours=1))]}}),
    Case("V-EXAMPLES-02", FAILED, "Fetching the examples fails",
         {w.JOBS: {"items": [w.job("a", "Failed", w.ago(hours=1))]},
          w.CRON: {"spec": {"schedule": "23 4 * * *"}, "status": {"lastSuccessfulTime": w.ago(days=3)}}}),
    Case("V-EXAMPLES-02", WARNING, "5 days ago", {
        w.CRON: {"spec": {"schedule": "23 4 * * *"}, "status": {"lastSuccessfulTime": w.ago(days=5, hours=1)}},
    }),
    Case("V-EXAMPLES-02", OK, "5 days ago", {
        w.CRON: {"spec": {"schedule": "0 4 * * 0"}, "status": {"lastSuccessfulTime": w.ago(days=5, hours=1)}},
    }),
    Case("V-EXAMPLES-02", OK, "2 h ago", {w.JOBS: {"items": [w.job("by-hand", "Complete", w.ago(hours=2.2))]}}),
    Case("V-GPU-01", OK, "none"),
    Case("V-GPU-01", OK, "n1: 2 nvidia.com/gpu", nodes(capacity=GPU, allocatable=GPU)),
    Case("V-GPU-01", OK, "7 nvidia.com/mig-1g.5gb",
         nodes(capacity={"nvidia.com/mig-1g.5gb": "7"}, allocatable={"nvidia.com/mig-1g.5gb": "7"})),
    Case("V-GPU-01", WARNING, "n1 offers 1 of 2", nodes(capacity=GPU, allocatable={"nvidia.com/gpu": "1"})),
    Case("V-GPU-01", WARNING, "Image tk-jupyter-scipy needs a GPU", {w.CATALOGUE: w.catalogue(gpu_required=True)}),
]  # fmt: skip


def find(context: Context, code: str) -> Finding:
    """What comes of the check `code`, those that it needs included."""
    return run_checks(chosen(code), context)[-1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code} {case.says}")
def test_a_check_says_what_is_wrong(
    case: Case, make_context: Callable[..., Context], cluster: FakeCluster, web: FakeWeb
) -> None:
    w.fill(cluster, web)
    cluster.objects |= case.objects
    web.answers |= case.answers

    finding = find(make_context(**case.settings), case.code)

    assert (finding.code, finding.result) == (case.code, case.result), finding
    assert case.says in f"{finding.seen} {finding.reason}"
    if case.result in (FAILED, WARNING):
        assert finding.reason.endswith(".")
        assert finding.remedy.endswith(".")
        assert "could not be carried out" not in finding.reason


CHECKED = [check for check in chosen("") if not check.code.startswith(("V-TLS", "V-SERVER"))]


@pytest.mark.parametrize("code", [check.code for check in CHECKED])
def test_where_all_is_well_each_check_is_ok(
    code: str, make_context: Callable[..., Context], cluster: FakeCluster, web: FakeWeb
) -> None:
    w.fill(cluster, web)

    assert find(make_context(storage={"backend": "seaweedfs-csi"}), code).result is OK


def test_every_check_is_seen_failing() -> None:
    seen = {case.code for case in CASES if case.result in (FAILED, WARNING)}

    assert {check.code for check in CHECKED} == seen


def test_no_secret_is_in_what_is_shown(
    make_context: Callable[..., Context], cluster: FakeCluster, web: FakeWeb
) -> None:
    w.fill(cluster, web)
    context = make_context()
    cluster.objects[OIDC] = w.encoded(client_secret="0ther-s3cr")
    cluster.objects[w.PULL] = w.docker_config("0lder-pw")

    shown = str(run_checks(CHECKED, context))

    for secret in ("s3cret", "0ther-s3cr", "0lder-pw", "t0ken", "admin-token", "the harbor", "the keycloak"):
        assert secret not in shown


def test_nothing_is_changed(make_context: Callable[..., Context], cluster: FakeCluster, web: FakeWeb) -> None:
    w.fill(cluster, web)
    run_checks(CHECKED, make_context())

    changing = {str(request.url) for request in web.requests if request.method not in ("GET", "HEAD")}
    assert changing == {w.LOGIN}


def test_a_registry_with_bearer_tokens_is_asked_as_a_node_does(
    make_context: Callable[..., Context], cluster: FakeCluster, web: FakeWeb
) -> None:
    w.fill(cluster, web)
    challenge = 'Bearer realm="https://harbor.example.org/service/token",service="harbor",scope="pull"'

    def manifest(request: httpx.Request) -> httpx.Response:
        if request.headers.get("Authorization") == "Bearer for-pulls":
            return httpx.Response(200)
        return httpx.Response(401, headers={"WWW-Authenticate": challenge})

    def token(request: httpx.Request) -> httpx.Response:
        assert request.url.params["service"] == "harbor"
        assert request.headers["Authorization"].startswith("Basic ")
        return httpx.Response(200, json={"token": "for-pulls"})

    web.answers[("HEAD", w.MANIFEST)] = manifest
    web.answers[("GET", "https://harbor.example.org/service/token")] = token
    assert find(make_context(), "V-IMAGES-02").result is OK

    web.answers[("GET", "https://harbor.example.org/service/token")] = httpx.Response(401)
    assert "HTTP 401" in find(make_context(), "V-IMAGES-02").reason

    challenge = challenge.replace("https:", "http:")
    assert "no https address" in find(make_context(), "V-IMAGES-02").reason
