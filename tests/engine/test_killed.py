"""An update that is killed while it makes something: the documented way out, and what is then there."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.providers.kubernetes.cluster import Cluster
from tests.engine.conftest import Program
from tests.operations import killed_update, run_documented

pytestmark = pytest.mark.engine

# nothing runs Jobs on this API server: the update waits for it until it is killed
SOURCE = """
import pulumi
import pulumi_kubernetes as k8s
first = k8s.core.v1.ConfigMap("first", metadata={{"name": "first", "namespace": "{namespace}"}}, data={{"a": "1"}})
k8s.batch.v1.Job("job", metadata={{"name": "{name}", "namespace": "{namespace}", "annotations": {{{annotations}}}}},
    spec={{"template": {{"spec": {{"restartPolicy": "Never", "containers": [{{"name": "c", "image": "none"}}]}}}}}},
    opts=pulumi.ResourceOptions(depends_on=[first]))
"""
SKIP = '"pulumi.com/skipAwait": "true"'


def jobs(cluster: Cluster, namespace: str) -> list[str]:
    found = cluster.request("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]
    return [job["metadata"]["name"] for job in found]


def test_a_killed_create_is_cleared_and_what_it_left_is_said(
    program: Program, cluster: Cluster, namespace: str, kubeconfig: Path
) -> None:
    stack = program(SOURCE.format(namespace=namespace, name="job", annotations=""))
    stack.preview()
    killed_update(stack, lambda: jobs(cluster, namespace) == ["job"])
    assert [entry["type"] for entry in stack.export()["deployment"]["pending_operations"]] == ["creating"]

    # the Job was made and not noted: the same one again is refused, with what to do
    with pytest.raises(AssertionError, match="exists in the cluster already"):
        run_documented("The engine was killed", stack, NAMESPACE=namespace)
    assert not stack.export()["deployment"].get("pending_operations")
    cluster.request(
        "DELETE", f"/apis/batch/v1/namespaces/{namespace}/jobs/job", body={"propagationPolicy": "Background"}
    )

    good = program(SOURCE.format(namespace=namespace, name="job", annotations=SKIP))
    good.up()
    assert jobs(cluster, namespace) == ["job"]
    assert good.up().changes == {}
