"""thinkube-control lists the hub among the platform's services, running and healthy."""

from __future__ import annotations

import httpx
from kubernetes import client

from local.cluster_parts import api_client
from tests.platform.hub import Hub


def test_the_hub_is_on_the_dashboard(hub: Hub) -> None:
    service = client.CoreV1Api(api_client()).read_namespaced_service("backend", hub.tenant.control_namespace)
    with httpx.Client(
        base_url=f"http://{service.spec.cluster_ip}:8000/api/v1/services",
        headers={"Authorization": f"Bearer {hub.control_token}"},
        timeout=30,
        trust_env=False,
    ) as control:
        found = control.post("/sync").json()["discovered"]
        assert found["core"] == [{"name": "jupyterhub", "display_name": "JupyterHub", "enabled": True}]
        (row,) = control.get("/").json()["services"]
        health = control.post(f"/{row['id']}/health-check").json()

    assert (row["url"], row["namespace"], row["resource_name"]) == (hub.url, hub.tenant.namespace, "hub")
    assert row["service_metadata"]["ready_replicas"] == 1
    assert (health["status"], health["status_code"]) == ("healthy", 200)
