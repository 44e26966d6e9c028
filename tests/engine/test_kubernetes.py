"""The stand-in Kubernetes provider under the real engine: the official provider's rules, kind by kind."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from local.engine import EngineError
from local.providers.kubernetes.cluster import ApiError, Cluster
from tests.engine.conftest import SECRET, Program, state_of

pytestmark = pytest.mark.engine

HEAD = "import pulumi\nimport pulumi_kubernetes as k8s\n"


def exists(cluster: Cluster, path: str) -> bool:
    try:
        cluster.request("GET", path)
    except ApiError as answer:
        assert answer.code == 404
        return False
    return True


EVERY_KIND = (
    HEAD
    + """
ns = "{namespace}"
meta = lambda name: {{"name": name, "namespace": ns, "labels": {{"mark": "{mark}"}}}}
rule = {{"api_groups": [""], "resources": ["pods"], "verbs": ["get"]}}
pod = {{"spec": {{"restart_policy": "Never", "containers": [{{"name": "c", "image": "none", "resources": {{"limits": {{"memory": "1024Mi", "cpu": "0.5"}}}}}}]}}}}
k8s.core.v1.Namespace("own", metadata={{"name": ns + "-own", "labels": {{"mark": "{mark}"}}}})
k8s.core.v1.ConfigMap("config", metadata=meta("config"), data={{"a": "1"}})
k8s.core.v1.Secret("secret", metadata=meta("secret"), string_data={{"password": pulumi.Output.secret("{secret}")}})
account = k8s.core.v1.ServiceAccount("account", metadata=meta("account"), automount_service_account_token=False)
role = k8s.rbac.v1.Role("role", metadata=meta("role"), rules=[rule])
k8s.rbac.v1.RoleBinding("binding", metadata=meta("binding"),
    role_ref={{"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata["name"]}},
    subjects=[{{"kind": "ServiceAccount", "name": account.metadata["name"], "namespace": ns}}])
k8s.batch.v1.CronJob("cron", metadata=meta("cron"), spec={{"schedule": "@daily", "job_template": {{"spec": {{"template": pod}}}}}})
k8s.networking.v1.NetworkPolicy("policy", metadata=meta("policy"), spec={{"pod_selector": {{}}, "policy_types": ["Ingress"]}})
k8s.networking.v1.Ingress("ingress",
    metadata={{**meta("ingress"), "annotations": {{"pulumi.com/skipAwait": "true"}}}},
    spec={{"rules": [{{"host": "a.test", "http": {{"paths": [
        {{"path": "/", "path_type": "Prefix", "backend": {{"service": {{"name": "s", "port": {{"number": 80}}}}}}}}]}}}}]}})
k8s.core.v1.PersistentVolume("volume", metadata={{"name": ns, "labels": {{"mark": "{mark}"}}}}, spec={{
    "capacity": {{"storage": "1024Mi"}}, "access_modes": ["ReadWriteMany"], "storage_class_name": "", "host_path": {{"path": "/nowhere"}},
    "persistent_volume_reclaim_policy": "Retain", "claim_ref": {{"name": "claim", "namespace": ns}}}})
k8s.core.v1.PersistentVolumeClaim("claim", metadata=meta("claim"), spec={{
    "access_modes": ["ReadWriteMany"], "storage_class_name": "", "volume_name": ns, "resources": {{"requests": {{"storage": "1Gi"}}}}}})
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


def test_config_map_is_replaced_under_a_new_name(program: Program, cluster: Cluster, namespace: str) -> None:
    """Autonamed: the new one is made first, the old one goes after; with a fixed name the old one goes
    first.
    """
    source = HEAD + "m = k8s.core.v1.ConfigMap('code', metadata={'namespace': '%s'%s}, data={'f': '%s'})\n"
    source += "pulumi.export('name', m.metadata['name'])\n"
    stack = program(source % (namespace, "", "1"))
    stack.up()
    first = stack.outputs()["name"]
    assert first.startswith("code-")
    assert stack.up().changes == {}
    stack = program(source % (namespace, "", "2"))
    assert stack.preview().changes == {"replace": 1}
    done = stack.up()
    assert [step.op for step in done.of("code")] == ["create-replacement", "replace", "delete-replaced"]
    second = stack.outputs()["name"]
    assert second != first
    assert not exists(cluster, f"/api/v1/namespaces/{namespace}/configmaps/{first}")

    program(source % (namespace, ", 'name': 'fixed'", "2")).up()
    done = program(source % (namespace, ", 'name': 'fixed'", "3")).up()
    assert [step.op for step in done.of("code")] == ["delete-replaced", "replace", "create-replacement"]
    live = cluster.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/fixed")
    assert live["data"] == {"f": "3"}


def test_mutable_config_map_is_updated(program: Program, namespace: str) -> None:
    source = HEAD + "p = k8s.Provider('p', enable_config_map_mutable=True)\n"
    source += "k8s.core.v1.ConfigMap('m', metadata={'name': 'm', 'namespace': '%s'}, data={'f': '%s'}, opts=pulumi.ResourceOptions(provider=p))\n"
    program(source % (namespace, "1")).up()
    assert program(source % (namespace, "2")).up().changes == {"update": 1}


def test_create_fails_on_what_exists_and_upsert_adopts(
    program: Program, cluster: Cluster, namespace: str
) -> None:
    cluster.request(
        "POST",
        f"/api/v1/namespaces/{namespace}/configmaps",
        body={"metadata": {"name": "m"}, "data": {"f": "0"}},
    )
    source = (
        HEAD
        + "k8s.core.v1.ConfigMap('m', metadata={'name': 'm', 'namespace': '%s'}, data={'g': '1'})\n"
        % namespace
    )
    stack = program(source)
    assert stack.preview().changes == {"create": 2}  # as the official one: preview does not notice
    with pytest.raises(EngineError, match='configmaps "m" already exists') as failure:
        stack.up()
    assert "pulumi import" in str(failure.value)
    assert "upsertExistingObjects" in str(failure.value)
    stack = program(
        HEAD + "p = k8s.Provider('p', upsert_existing_objects=True)\n"
        "k8s.core.v1.ConfigMap('m', metadata={'name': 'm', 'namespace': '%s'}, data={'g': '1'}, "
        "opts=pulumi.ResourceOptions(provider=p))\n" % namespace
    )
    stack.up()
    live = cluster.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/m")
    assert live["data"] == {"f": "0", "g": "1"}
    assert stack.up().changes == {}


RETAINED = (
    HEAD
    + """
p = k8s.Provider("p", upsert_existing_objects=True)
keep = pulumi.ResourceOptions(provider=p, retain_on_delete=True)
ns = "{namespace}-kept"
space = k8s.core.v1.Namespace("space", metadata={{"name": ns}}, opts=keep)
volume = k8s.core.v1.PersistentVolume("volume", metadata={{"name": ns}}, spec={{
    "capacity": {{"storage": "1Gi"}}, "access_modes": ["ReadWriteMany"], "storage_class_name": "", "host_path": {{"path": "/nowhere"}},
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


def test_unknown_type_is_refused_by_name(program: Program) -> None:
    stack = program(HEAD + "k8s.apps.v1.Deployment('d', spec={'selector': {}, 'template': {}})\n")
    with pytest.raises(
        EngineError, match=r"kubernetes:apps/v1:Deployment is not among the types the stand-in"
    ):
        stack.preview()


def test_unknown_field_is_refused(program: Program, namespace: str) -> None:
    stack = program(
        HEAD
        + "k8s.core.v1.ServiceAccount('a', metadata={'namespace': '%s', 'lables': {'a': 'b'}})\n" % namespace
    )
    with pytest.raises(EngineError, match="lables"):
        stack.preview()


def test_import_and_get(program: Program, cluster: Cluster, namespace: str) -> None:
    cluster.request(
        "POST",
        f"/api/v1/namespaces/{namespace}/configmaps",
        body={"metadata": {"name": "m"}, "data": {"f": "0"}},
    )
    source = (
        HEAD + "got = k8s.core.v1.ConfigMap.get('got', '%s/m')\npulumi.export('data', got.data)\n" % namespace
    )
    source += (
        "k8s.core.v1.ConfigMap('m', metadata={'name': 'm', 'namespace': '%s'}, data={'f': '0'},"
        " opts=pulumi.ResourceOptions(import_='%s/m'))\n" % (namespace, namespace)
    )
    stack = program(source)
    assert stack.up().counts["import"] == 1
    assert stack.outputs()["data"] == {"f": "0"}
    assert stack.up().changes == {}


def test_unbound_claim_is_kept_as_failed_and_tried_again(
    program: Program, namespace: str, cluster: Cluster
) -> None:
    """A claim that does not bind in time fails the update, is in the state, and the next update goes on
    with it.
    """
    source = HEAD + (
        "k8s.core.v1.PersistentVolumeClaim('c', metadata={'name': 'c', 'namespace': '%s', "
        "'annotations': {'pulumi.com/timeoutSeconds': '1'}},"
        " spec={'access_modes': ['ReadWriteOnce'], 'storage_class_name': '', 'volume_name': '%s', "
        "'resources': {'requests': {'storage': '1Gi'}}})\n" % (namespace, namespace)
    )
    stack = program(source)
    with pytest.raises(EngineError, match="is Pending, not Bound"):
        stack.up()
    assert "did not become ready" in state_of(stack, "c")["initErrors"][0]
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "hostPath": {"path": "/nowhere"},
        "claimRef": {"name": "c", "namespace": namespace},
    }
    cluster.request("POST", "/api/v1/persistentvolumes", body={"metadata": {"name": namespace}, "spec": spec})
    stack.up()
    assert stack.up().changes == {}
    stack.destroy()
    cluster.request("DELETE", f"/api/v1/persistentvolumes/{namespace}")


def test_unreachable_cluster_previews_and_fails_the_update(program: Program, tmp_path: Path) -> None:
    config = tmp_path / "dead"
    server = "{clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}], contexts: [{name: a, context: {cluster: a}}], current-context: a}"
    config.write_text(server)
    stack = program(HEAD + "k8s.core.v1.Namespace('n')\n", env={"KUBECONFIG": str(config)})
    assert stack.preview().changes == {"create": 2}
    with pytest.raises(EngineError, match=r"API server at http://127\.0\.0\.1:9 does not answer"):
        stack.up()
