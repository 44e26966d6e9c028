"""Objects of the chart: those that users, policies and our own program know by name, label or place."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

Objects = dict[str, Any]
Template = Callable[[Objects], Objects]


@pytest.fixture(scope="module")
def plain(template: Template, tools: Any) -> Objects:
    return template(
        tools.merge(tools.least, {"ingress": {"enabled": True, "hosts": ["jupyter.example.org"]}})
    )


def test_names_are_the_real_charts(plain: Objects) -> None:
    assert set(plain) == {
        "ConfigMap/hub",
        "Deployment/hub",
        "Deployment/proxy",
        "Ingress/jupyterhub",
        "NetworkPolicy/hub",
        "NetworkPolicy/proxy",
        "NetworkPolicy/singleuser",
        "PersistentVolumeClaim/hub-db-dir",
        "Role/hub",
        "RoleBinding/hub",
        "Secret/hub",
        "Service/hub",
        "Service/proxy-api",
        "Service/proxy-public",
        "ServiceAccount/hub",
    }


def test_selectors_and_labels_old_and_new(plain: Objects) -> None:
    for name in ("hub", "proxy"):
        spec = plain[f"Deployment/{name}"]["spec"]
        selector = {"component": name, "app": "jupyterhub", "release": "jupyterhub"}
        assert spec["selector"]["matchLabels"] == selector
        assert spec["strategy"] == {"type": "Recreate"}
        labels = spec["template"]["metadata"]["labels"]
        modern = {
            f"app.kubernetes.io/{key}": value
            for key, value in {"name": "jupyterhub", "instance": "jupyterhub", "component": name}.items()
        }
        assert (selector | modern).items() <= labels.items()
    assert plain["Service/proxy-public"]["spec"]["selector"]["component"] == "proxy"
    assert plain["Service/hub"]["spec"]["selector"]["component"] == "hub"


def test_policies_know_pods_by_the_labels_that_pods_have(plain: Objects) -> None:
    """hub and proxy reach each other and the servers; a label that nobody carries would cut them off."""
    carried = {
        name: plain[f"Deployment/{name}"]["spec"]["template"]["metadata"]["labels"]
        for name in ("hub", "proxy")
    }
    needed = {"hub": ["proxy"], "proxy": ["hub"], "singleuser": ["hub", "proxy"]}
    for policy, sources in needed.items():
        rules = plain[f"NetworkPolicy/{policy}"]["spec"]["ingress"]
        admitted = [source["podSelector"]["matchLabels"] for rule in rules for source in rule.get("from", ())]
        for source in sources:
            assert any(labels.items() <= carried[source].items() for labels in admitted), (policy, source)


def test_hub_pod_has_files_and_environment_where_code_looks(plain: Objects) -> None:
    pod = plain["Deployment/hub"]["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    root = "/usr/local/etc/jupyterhub"
    for file in ("jupyterhub_config.py", "z2jh.py"):
        assert mounts[f"{root}/{file}"]["subPath"] == file
        assert file in plain["ConfigMap/hub"]["data"]
    assert {f"{root}/config/", f"{root}/secret/", "/srv/jupyterhub"} <= set(mounts)
    assert {mount["name"] for mount in mounts.values()} == {volume["name"] for volume in pod["volumes"]}
    env = {entry["name"]: entry for entry in pod["containers"][0]["env"]}
    assert env["HELM_RELEASE_NAME"]["value"] == "jupyterhub"
    assert env["POD_NAMESPACE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace"
    reference = env["CONFIGPROXY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert reference["name"] == "hub"
    assert reference["key"] in plain["Secret/hub"]["data"]


def test_generated_secrets_are_long_random_and_not_among_the_values(template: Template, tools: Any) -> None:
    keys = {
        "hub.config.ConfigurableHTTPProxy.auth_token": 64,
        "hub.config.JupyterHub.cookie_secret": 64,
        "hub.config.CryptKeeper.keys": 64,
        "hub.services.robot.apiToken": 64,
    }
    values = tools.merge(tools.least, {"hub": {"services": {"robot": {}}}})
    first, second = (template(values)["Secret/hub"]["data"] for _ in range(2))
    decoded = {key: base64.b64decode(first[key]).decode() for key in keys}
    assert {key: len(value) for key, value in decoded.items()} == keys
    assert len(set(decoded.values())) == len(keys)
    assert all(first[key] != second[key] for key in keys)
    bytes.fromhex(decoded["hub.config.JupyterHub.cookie_secret"])
    values_file = base64.b64decode(first["values.yaml"]).decode()
    assert not any(value in values_file for value in decoded.values())
    assert first["values.yaml"] == second["values.yaml"]


def test_hub_restarts_for_values_and_proxy_does_not(template: Template, tools: Any) -> None:
    """The proxy carries users' connections; only a new token concerns it."""
    deployments = ("hub", "proxy")
    before, after = (
        {
            name: template(tools.merge(tools.least, {"custom": {"a": number}}))[f"Deployment/{name}"]["spec"][
                "template"
            ]
            for name in deployments
        }
        for number in (1, 2)
    )

    def checksums(pod: Objects) -> Objects:
        return {
            key: value for key, value in pod["metadata"]["annotations"].items() if "auth-token" not in key
        }

    assert checksums(before["hub"])["checksum/secret"] != checksums(after["hub"])["checksum/secret"]
    assert checksums(before["proxy"]) == checksums(after["proxy"]) == {}


def test_pods_of_hub_and_proxy_pass_pod_security_restricted(plain: Objects) -> None:
    for name in ("hub", "proxy"):
        pod = plain[f"Deployment/{name}"]["spec"]["template"]["spec"]
        for container in pod["containers"]:
            context = pod.get("securityContext", {}) | container["securityContext"]
            assert context["runAsNonRoot"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nonsense", 1),
        ("hub.existingSecret", "own"),
        ("hub.db.pvc.size", "1Gi"),
        ("hub.livenessProbe.period", 1),
        ("singleuser.networkTools.image.name", "x"),
        ("singleuser.networkPolicy.egressAllowRules.everything", True),
        ("httpRoute.enabled", True),
    ],
)
def test_key_without_effect_is_refused_by_name(key: str, value: Any, template: Template, tools: Any) -> None:
    with pytest.raises(ValueError, match="not allowed") as refusal:
        template(tools.merge(tools.least, tools.nested(key, value)))
    parts = key.split(".")
    known = [
        f"at '{'/'.join(['', *parts[:depth]])}': additional properties '{parts[depth]}'"
        for depth in range(len(parts))
    ]
    assert any(words in str(refusal.value) for words in known), refusal.value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hub.config.JupyterHub.cookie_secret", "ab" * 32),
        ("hub.config.CryptKeeper.keys", ["ab" * 32]),
        ("hub.config.ConfigurableHTTPProxy.auth_token", "x"),
        ("hub.services.robot.apiToken", "x"),
    ],
)
def test_secret_as_value_is_refused(key: str, value: Any, template: Template, tools: Any) -> None:
    with pytest.raises(ValueError, match="takes no secrets as values") as refusal:
        template(tools.merge(tools.least, tools.nested(key, value)))
    assert key in str(refusal.value)


def test_sqlite_in_memory_makes_no_claim(template: Template, tools: Any) -> None:
    objects = template(tools.merge(tools.least, {"hub": {"db": {"type": "sqlite-memory"}}}))
    assert not any(name.startswith("PersistentVolumeClaim/") for name in objects)
    assert "--upgrade-db" not in json.dumps(objects["Deployment/hub"])


def test_chart_is_what_its_release_is_called(plain: Objects, tools: Any) -> None:
    chart = yaml.safe_load((tools.chart / "Chart.yaml").read_text())
    assert (chart["name"], chart["appVersion"]) == ("jupyterhub", "5.5.0")
    label = plain["Deployment/hub"]["metadata"]["labels"]["helm.sh/chart"]
    assert label == f"{chart['name']}-{chart['version']}"
