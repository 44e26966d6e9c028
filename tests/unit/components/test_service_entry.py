"""The hub's entry on the dashboard, by the rules of thinkube-control's database and API (77f207f)."""

from __future__ import annotations

import re
from typing import Any

import yaml

from components.service_entry import service_entry
from components.settings.models import Settings
from tests.unit.components.conftest import MINIMAL, Program


def test_the_config_map(program: Program) -> None:
    made = program({"namespace": "team-hub"})
    config_map = made.inputs("kubernetes:core/v1:ConfigMap", "hub-service-config")
    assert config_map["metadata"] == {
        "name": "thinkube-service-config",
        "namespace": "team-hub",
        "labels": {
            "thinkube.io/managed": "true",
            "thinkube.io/service-type": "core",
            "thinkube.io/service-name": "jupyterhub",
        },
    }
    service = yaml.safe_load(config_map["data"]["service.yaml"])["service"]
    assert service["scaling"]["namespace"] == "team-hub"
    request = made.request("kubernetes:core/v1:ConfigMap", "hub-service-config")
    assert any("hub-release" in dependency for dependency in request.dependencies), "listed once it is there"


def test_what_thinkube_control_takes() -> None:
    service: dict[str, Any] = service_entry(Settings.model_validate(MINIMAL))["service"]
    assert set(service) == {
        "name", "display_name", "description", "type", "category", "icon", "endpoints", "dependencies", "scaling",
    }  # fmt: skip
    assert service["type"] in ("core", "optional", "user_app"), (
        "any other word ends the discovery of all services"
    )
    assert re.fullmatch(r"[a-z][a-z0-9-]*", service["name"])
    (endpoint,) = service["endpoints"]
    assert endpoint["type"] == "http"
    assert endpoint["primary"] is True
    assert endpoint["health_url"] == "https://jupyter.example.org/hub/health"
    assert service["scaling"] == {
        "resource_type": "deployment",
        "resource_name": "hub",
        "namespace": "jupyterhub",
        "min_replicas": 1,
        "can_disable": False,
    }


def test_seaweedfs_is_needed_where_it_is_used() -> None:
    elsewhere = {"storage": {"backend": "hostPath", "hostPathRoot": "/srv"}}
    needs = [
        service_entry(Settings.model_validate({**MINIMAL, **more}))["service"]["dependencies"]
        for more in ({}, elsewhere)
    ]
    assert needs == [["keycloak", "harbor", "seaweedfs"], ["keycloak", "harbor"]]
