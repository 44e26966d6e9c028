"""The official Kubernetes provider's rules, one by one: replacement, adoption, refusal, import, waiting."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from local.engine import EngineError
from local.providers.kubernetes.cluster import ApiError, Cluster
from tests.engine.conftest import Program, state_of

pytestmark = pytest.mark.engine


def config_map(namespace: str, *, data: str, name: str = "", provider: str = "") -> str:
    """A program with one ConfigMap, ``data`` its only value; ``provider`` are arguments of a provider of its own."""
    named = f'"name": "{name}", ' if name else ""
    return f"""
import pulumi
import pulumi_kubernetes as k8s
provider = k8s.Provider("p", {provider})
found = k8s.core.v1.ConfigMap("code", metadata={{{named}"namespace": "{namespace}"}}, data={{"f": "{data}"}},
    opts=pulumi.ResourceOptions(provider=provider))
pulumi.export("name", found.metadata["name"])
"""


def make_config_map(cluster: Cluster, namespace: str, name: str, **data: str) -> None:
    body = {"metadata": {"name": name}, "data": data}
    cluster.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body=body)


def data_of(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    found: dict[str, str] = cluster.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")[
        "data"
    ]
    return found


def test_config_map_is_replaced_under_a_new_name(program: Program, cluster: Cluster, namespace: str) -> None:
    """Autonamed: the new one is made first, the old one goes after; with a fixed name the old one goes first."""
    stack = program(config_map(namespace, data="1"))
    stack.up()
    first = stack.outputs()["name"]
    assert first.startswith("code-")
    assert stack.up().changes == {}
    stack = program(config_map(namespace, data="2"))
    assert stack.preview().changes == {"replace": 1}
    done = stack.up()
    assert [step.op for step in done.of("code")] == ["create-replacement", "replace", "delete-replaced"]
    assert stack.outputs()["name"] != first
    with pytest.raises(ApiError, match="not found"):
        data_of(cluster, namespace, first)

    program(config_map(namespace, data="2", name="fixed")).up()
    done = program(config_map(namespace, data="3", name="fixed")).up()
    assert [step.op for step in done.of("code")] == ["delete-replaced", "replace", "create-replacement"]
    assert data_of(cluster, namespace, "fixed") == {"f": "3"}


def test_mutable_config_map_is_updated(program: Program, namespace: str) -> None:
    mutable = "enable_config_map_mutable=True"
    program(config_map(namespace, data="1", provider=mutable)).up()
    assert program(config_map(namespace, data="2", provider=mutable)).up().changes == {"update": 1}


def test_create_fails_on_what_exists_and_upsert_adopts(
    program: Program, cluster: Cluster, namespace: str
) -> None:
    make_config_map(cluster, namespace, "m", g="0")
    stack = program(config_map(namespace, data="1", name="m"))
    assert stack.preview().changes == {"create": 3}  # as the official one: preview does not notice
    with pytest.raises(EngineError, match='configmaps "m" already exists') as failure:
        stack.up()
    assert "pulumi import" in str(failure.value)
    assert "upsertExistingObjects" in str(failure.value)
    assert data_of(cluster, namespace, "m") == {"g": "0"}
    stack = program(config_map(namespace, data="1", name="m", provider="upsert_existing_objects=True"))
    stack.up()
    assert data_of(cluster, namespace, "m") == {"f": "1", "g": "0"}
    assert stack.up().changes == {}


def test_unknown_type_is_refused_by_name(program: Program) -> None:
    source = """
    import pulumi_kubernetes as k8s
    k8s.apps.v1.Deployment("d", spec={"selector": {}, "template": {}})
    """
    with pytest.raises(
        EngineError, match="kubernetes:apps/v1:Deployment is not among the types the stand-in"
    ):
        program(source).preview()


def test_unknown_field_is_refused(program: Program, namespace: str) -> None:
    source = f"""
    import pulumi_kubernetes as k8s
    k8s.core.v1.ServiceAccount("a", metadata={{"namespace": "{namespace}", "lables": {{"a": "b"}}}})
    """
    with pytest.raises(EngineError, match="lables"):
        program(source).preview()


def test_import_and_get(program: Program, cluster: Cluster, namespace: str) -> None:
    make_config_map(cluster, namespace, "m", f="0")
    source = f"""
    import pulumi, pulumi_kubernetes as k8s
    pulumi.export("data", k8s.core.v1.ConfigMap.get("got", "{namespace}/m").data)
    k8s.core.v1.ConfigMap("m", metadata={{"name": "m", "namespace": "{namespace}"}}, data={{"f": "0"}},
        opts=pulumi.ResourceOptions(import_="{namespace}/m"))
    """
    stack = program(source)
    assert stack.up().counts["import"] == 1
    assert stack.outputs()["data"] == {"f": "0"}
    assert stack.up().changes == {}


def test_ignored_changes_are_left(program: Program, cluster: Cluster, namespace: str) -> None:
    source = """
    import pulumi, pulumi_kubernetes as k8s
    k8s.core.v1.ServiceAccount("a", metadata={"name": "a", "namespace": "%s", "labels": {"x": "%s"}},
        opts=pulumi.ResourceOptions(ignore_changes=["metadata.labels"]))
    """
    program(source % (namespace, "1")).up()
    assert program(source % (namespace, "2")).up().changes == {}
    found = cluster.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/a")
    assert found["metadata"]["labels"] == {"x": "1"}


def test_unbound_claim_is_kept_as_failed_and_tried_again(
    program: Program, namespace: str, cluster: Cluster
) -> None:
    """A claim that does not bind in time fails the update, is in the state, and the next update goes on with it."""
    source = f"""
    import pulumi_kubernetes as k8s
    k8s.core.v1.PersistentVolumeClaim("c",
        metadata={{"name": "c", "namespace": "{namespace}", "annotations": {{"pulumi.com/timeoutSeconds": "1"}}}},
        spec={{"access_modes": ["ReadWriteOnce"], "storage_class_name": "", "volume_name": "{namespace}",
              "resources": {{"requests": {{"storage": "1Gi"}}}}}})
    """
    stack = program(source)
    with pytest.raises(EngineError, match="Timeout occurred polling for 'c'"):
        stack.up()
    assert state_of(stack, "c")["initErrors"]
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "hostPath": {"path": "/nowhere"},
        "claimRef": {"name": "c", "namespace": namespace},
    }
    cluster.request("POST", "/api/v1/persistentvolumes", body={"metadata": {"name": namespace}, "spec": spec})
    claim = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/c"
    stack.up()
    assert cluster.request("GET", claim)["status"]["phase"] == "Bound"
    assert stack.up().changes == {}
    stack.destroy()
    cluster.request("DELETE", f"/api/v1/persistentvolumes/{namespace}")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_job_is_awaited(program: Program, cluster: Cluster, namespace: str, phase: str) -> None:
    """Without a kubelet the test says how the Job's pod ends, as soon as the Job controller has made it."""
    source = f"""
    import pulumi_kubernetes as k8s
    k8s.batch.v1.Job("j", metadata={{"name": "j", "namespace": "{namespace}"}}, spec={{"backoff_limit": 0,
        "template": {{"spec": {{"restart_policy": "Never", "containers": [{{"name": "c", "image": "none"}}]}}}}}})
    """
    with PodEnds(cluster, namespace, phase):
        if phase == "Succeeded":
            stack = program(source)
            stack.up()
            assert stack.up().changes == {}
        else:
            with pytest.raises(
                EngineError, match=r"\[BackoffLimitExceeded\] Job has reached the specified backoff limit"
            ) as failure:
                program(source).up()
            assert f"[Error] {LAST_WORDS}" in str(failure.value), (
                "what the container said, not only that it failed"
            )


def test_unreachable_cluster_previews_and_fails_the_update(program: Program, tmp_path: Path) -> None:
    config = tmp_path / "dead"
    config.write_text(
        "{current-context: a, contexts: [{name: a, context: {cluster: a}}],"
        " clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}]}"
    )
    source = "import pulumi_kubernetes as k8s\nk8s.core.v1.Namespace('n')\n"
    stack = program(source, env={"KUBECONFIG": str(config)})
    assert stack.preview().changes == {"create": 2}
    with pytest.raises(EngineError, match=r"cluster is unreachable: .*http://127\.0\.0\.1:9"):
        stack.up()


LAST_WORDS = "there is no such repository"


class PodEnds:
    """While it is entered, every pod of a namespace ends in ``phase``, with last words."""

    def __init__(self, cluster: Cluster, namespace: str, phase: str) -> None:
        self._cluster, self._path, self._phase = cluster, f"/api/v1/namespaces/{namespace}/pods", phase
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._end)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _end(self) -> None:
        while not self._stop.wait(0.3):
            for pod in self._cluster.request("GET", self._path)["items"]:
                ended = {"exitCode": 1, "reason": "Error", "message": f"{LAST_WORDS}\n"}
                container = {"name": "c", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
                statuses = [{**container, "state": {"terminated": ended}}] if self._phase == "Failed" else []
                body = {"status": {"phase": self._phase, "containerStatuses": statuses}}
                path = f"{self._path}/{pod['metadata']['name']}/status"
                self._cluster.request("PATCH", path, body=body, kind="merge-patch+json")
