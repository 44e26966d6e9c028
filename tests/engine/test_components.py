"""Resources inside ComponentResources: the engine hands the parents' types along, the provider looks past them."""

from __future__ import annotations

import pytest

from local.providers.kubernetes.cluster import Cluster
from tests.engine.conftest import Program, state_of

pytestmark = pytest.mark.engine

SOURCE = """
import pulumi
import pulumi_kubernetes as k8s

class Part(pulumi.ComponentResource):
    def __init__(self, kind, name, opts=None):
        super().__init__(kind, name, None, opts)

outer = Part("thinkube:a:Outer", "outer")
inner = Part("thinkube:b:Inner", "inner", pulumi.ResourceOptions(parent=outer))
k8s.core.v1.ConfigMap("deep", metadata={{"name": "deep", "namespace": "{namespace}"}}, data={{"a": "{value}"}},
    opts=pulumi.ResourceOptions(parent=inner))
"""


def test_a_resource_inside_components_is_known_by_its_type(
    program: Program, cluster: Cluster, namespace: str
) -> None:
    """Made, changed, refreshed and deleted as one at the top is."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    stack = program(SOURCE.format(namespace=namespace, value="1"))
    stack.up()
    assert "thinkube:a:Outer$thinkube:b:Inner$kubernetes:core/v1:ConfigMap" in state_of(stack, "deep")["urn"]
    assert cluster.request("GET", f"{path}/deep")["data"] == {"a": "1"}

    # a rule for this type alone: data that changes makes a new ConfigMap
    assert program(SOURCE.format(namespace=namespace, value="2")).up().changes == {"replace": 1}
    assert cluster.request("GET", f"{path}/deep")["data"] == {"a": "2"}
    assert stack.refresh().changes == {}

    stack.destroy()
    assert "deep" not in [item["metadata"]["name"] for item in cluster.request("GET", path)["items"]]
