"""The stand-in Kubernetes provider under the real engine: the official provider's rules, kind by kind."""

from __future__ import annotations

import base64
import json

import pytest

from local.engine import EngineError
from local.providers.kubernetes.cluster import ApiError, Cluster
from tests.engine.conftest import SECRET, Program

pytestmark = pytest.mark.engine

HEAD = "import pulumi\nimport pulumi_kubernetes as k8s\n"


def exists(cluster: Cluster, path: str) -> bool:
    try:
        cluster.request("GET", path)
    except ApiError as answer:
        if answer.code != 404:
            raise
        return False
    return True


EVERY_KIND = (
    HEAD
    + """
ns = "{namespace}"
meta = lambda name: {{"name": name, "namespace": ns, "labels": {{"mark": "{mark}"}}}}
rule = {{"api_groups": [""], "resources": ["pods"], "verbs": ["get"]}}
limits = {{"limits": {{"memory": "1024Mi", "cpu": "0.5"}}}}
pod = {{"spec": {{"restart_policy": "Never", "containers": [{{"name": "c", "image": "none", "resources": limits}}]}}}}
path = {{"path": "/", "path_type": "Prefix", "backend": {{"service": {{"name": "s", "port": {{"number": 80}}}}}}}}
k8s.core.v1.Namespace("own", metadata={{"name": ns + "-own", "labels": {{"mark": "{mark}"}}}})
k8s.core.v1.ConfigMap("config", metadata=meta("config"), data={{"a": "1"}})
k8s.core.v1.Secret("secret", metadata=meta("secret"), string_data={{"password": pulumi.Output.secret("{secret}")}})
account = k8s.core.v1.ServiceAccount("account", metadata=meta("account"), automount_service_account_token=False)
role = k8s.rbac.v1.Role("role", metadata=meta("role"), rules=[rule])
k8s.rbac.v1.RoleBinding("binding", metadata=meta("binding"),
    role_ref={{"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata["name"]}},
    subjects=[{{"kind": "ServiceAccount", "name": account.metadata["name"], "namespace": ns}}])
k8s.batch.v1.CronJob("cron", metadata=meta("cron"),
    spec={{"schedule": "@daily", "job_template": {{"spec": {{"template": pod}}}}}})
k8s.networking.v1.NetworkPolicy("policy", metadata=meta("policy"),
    spec={{"pod_selector": {{}}, "policy_types": ["Ingress"]}})
k8s.networking.v1.Ingress("ingress",
    metadata={{**meta("ingress"), "annotations": {{"pulumi.com/skipAwait": "true"}}}},
    spec={{"rules": [{{"host": "a.test", "http": {{"paths": [path]}}}}]}})
k8s.core.v1.PersistentVolume("volume", metadata={{"name": ns, "labels": {{"mark": "{mark}"}}}}, spec={{
    "capacity": {{"storage": "1024Mi"}}, "access_modes": ["ReadWriteMany"], "storage_class_name": "",
    "host_path": {{"path": "/nowhere"}},
    "persistent_volume_reclaim_policy": "Retain", "claim_ref": {{"name": "claim", "namespace": ns}}}})
k8s.core.v1.PersistentVolumeClaim("claim", metadata=meta("claim"), spec={{
    "access_modes": ["ReadWriteMany"], "storage_class_name": "", "volume_name": ns,
    "resources": {{"requests": {{"storage": "1Gi"}}}}}})
"""
)


def test_every_kind_from_create_to_destroy(program: Program, cluster: Cluster, namespace: str) -> None:
    """Create, quiet second run and refresh, update in place, drift found and undone, nothing left after
    destroy.
    """
    source = EVERY_KIND.format(namespace=namespace, mark="one", secret=SECRET)
    stack = program(source)
    assert stack.preview().changes == {"create": 12}
    assert stack.up().changes == {"create": 12}
    assert stack.up().changes == {}
    refreshed = stack.refresh()
    assert refreshed.changes == {}
    assert stack.preview().changes == {}
    assert SECRET not in json.dumps(stack.export())

    stack = program(EVERY_KIND.format(namespace=namespace, mark="two", secret=SECRET))
    assert stack.preview().changes == {"update": 11}
    assert stack.up().changes == {"update": 11}
    live = cluster.request("GET", f"/apis/batch/v1/namespaces/{namespace}/cronjobs/cron")
    assert live["metadata"]["labels"] == {"mark": "two"}

    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/role"
    cluster.request(
        "PATCH", role, body={"metadata": {"labels": {"mark": "by-hand"}}}, kind="merge-patch+json"
    )
    cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/config")
    drift = stack.refresh()
    assert drift.changes == {"update": 1, "delete": 1}
    # A field that somebody else set is not taken back silently.
    with pytest.raises(EngineError, match="conflict"):
        stack.preview()
    stack.env["PULUMI_K8S_ENABLE_PATCH_FORCE"] = "true"
    assert stack.up().changes == {"update": 1, "create": 1}
    assert cluster.request("GET", role)["metadata"]["labels"] == {"mark": "two"}

    assert stack.destroy().changes == {"delete": 12}
    assert not exists(cluster, f"/api/v1/namespaces/{namespace}-own")
    assert not exists(cluster, role)


def test_removed_fields_are_removed_from_the_cluster(
    program: Program, cluster: Cluster, namespace: str
) -> None:
    """A label that leaves the program leaves the object, though it came with a plain create and not with an
    apply.
    """
    source = (
        HEAD + "k8s.core.v1.ServiceAccount('a', metadata={'name': 'a', 'namespace': '%s', 'labels': %r})\n"
    )
    program(source % (namespace, {"x": "1", "y": "2"})).up()
    assert program(source % (namespace, {"x": "1"})).up().changes == {"update": 1}
    live = cluster.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/a")
    assert live["metadata"]["labels"] == {"x": "1"}


RETAINED = (
    HEAD
    + """
p = k8s.Provider("p", upsert_existing_objects=True)
keep = pulumi.ResourceOptions(provider=p, retain_on_delete=True)
ns = "{namespace}-kept"
space = k8s.core.v1.Namespace("space", metadata={{"name": ns}}, opts=keep)
volume = k8s.core.v1.PersistentVolume("volume", metadata={{"name": ns}}, spec={{
    "capacity": {{"storage": "1Gi"}}, "access_modes": ["ReadWriteMany"], "storage_class_name": "",
    "host_path": {{"path": "/nowhere"}},
    "persistent_volume_reclaim_policy": "Retain", "claim_ref": {{"name": "claim", "namespace": ns}}}}, opts=keep)
k8s.core.v1.PersistentVolumeClaim("claim", metadata={{"name": "claim", "namespace": space.metadata["name"]}}, spec={{
    "access_modes": ["ReadWriteMany"], "storage_class_name": "", "volume_name": volume.metadata["name"],
    "resources": {{"requests": {{"storage": "1Gi"}}}}}}, opts=keep)
"""
)


def test_retained_volume_is_found_again(program: Program, cluster: Cluster, namespace: str) -> None:
    """Destroy leaves namespace, volume and claim; the next update adopts them, still bound, and is quiet
    after.
    """
    stack = program(RETAINED.format(namespace=namespace))
    stack.up()
    claim = f"/api/v1/namespaces/{namespace}-kept/persistentvolumeclaims/claim"
    before = cluster.request("GET", claim)
    assert before["status"]["phase"] == "Bound"
    stack.destroy()
    assert cluster.request("GET", claim)["metadata"]["uid"] == before["metadata"]["uid"]
    stack.up()
    assert stack.up().changes == {}
    assert stack.refresh().changes == {}
    after = cluster.request("GET", claim)
    assert (after["metadata"]["uid"], after["status"]["phase"]) == (before["metadata"]["uid"], "Bound")
    for path in (
        claim,
        f"/api/v1/namespaces/{namespace}-kept",
        f"/api/v1/persistentvolumes/{namespace}-kept",
    ):
        cluster.request("DELETE", path)


def test_secret_values_never_show(program: Program, namespace: str) -> None:
    source = (
        HEAD
        + "s = k8s.core.v1.Secret('s', metadata={'name': 's', 'namespace': '%s'}, string_data={'k': '%s'})\n"
    )
    source += "pulumi.export('data', s.data)\n"
    stack = program(source % (namespace, SECRET))
    done = stack.up()
    encoded = base64.b64encode(SECRET.encode()).decode()
    stored = json.dumps(stack.export())
    assert SECRET not in stored
    assert encoded not in stored
    assert stack.outputs()["data"] == "[secret]"
    assert stack.outputs(show_secrets=True)["data"] == {"k": encoded}
    assert SECRET not in str(done)
    assert stack.refresh().changes == {}
    assert SECRET not in json.dumps(stack.export())
    assert encoded not in json.dumps(stack.export())
