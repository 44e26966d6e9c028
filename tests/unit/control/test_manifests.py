"""The objects fit the contract: production address, restricted pod, token in its Secret alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.control.manifests import manifests

TOKEN = "tk_example"


def by_kind(namespace: str = "thinkube-control") -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for item in manifests(namespace, "registry/control:1", TOKEN, ["jupyterhub"])}


def test_the_service_has_the_production_name_and_port() -> None:
    found = by_kind()
    assert found["Namespace"]["metadata"]["name"] == "thinkube-control"
    assert found["Service"]["metadata"] | {"labels": None} == {
        "name": "backend",
        "namespace": "thinkube-control",
        "labels": None,
    }
    assert found["Service"]["spec"]["ports"][0]["port"] == 8000
    template = found["Deployment"]["spec"]["template"]
    assert found["Service"]["spec"]["selector"].items() <= template["metadata"]["labels"].items()


def test_two_stacks_share_no_object() -> None:
    def names(namespace: str) -> set[tuple[str, ...]]:
        items = manifests(namespace, "i:1", TOKEN)
        return {(i["kind"], i["metadata"].get("namespace", ""), i["metadata"]["name"]) for i in items}

    assert not names("thinkube-control") & names("thinkube-control-test")


def test_the_token_stands_in_its_secret_alone() -> None:
    holding = [kind for kind, item in by_kind().items() if TOKEN in json.dumps(item)]
    assert holding == ["Secret"]


def test_rights_are_read_only() -> None:
    assert by_kind()["ClusterRole"]["rules"] == [
        {"apiGroups": [""], "resources": ["nodes", "pods", "configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"], "verbs": ["get"]},
    ]


def test_the_pod_is_restricted() -> None:
    pod = by_kind()["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_token_that_the_service_would_refuse_is_refused_here() -> None:
    with pytest.raises(ValueError, match="tk_"):
        manifests("thinkube-control", "i:1", "secret")
