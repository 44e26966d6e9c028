"""The Kubernetes stand-in without a cluster: what it knows, compares, prunes, names and marks as secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pulumi.provider.experimental import provider as rpc
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiffKind

from local.providers.kubernetes import settings as configuration
from local.providers.kubernetes.cluster import Kubeconfig, Unreachable
from local.providers.kubernetes.helm import merged, resource_names
from local.providers.kubernetes.kinds import kind_of, replacing
from local.providers.kubernetes.objects import (
    AUTONAMED,
    checkpoint,
    differences,
    prune,
    quantity,
    with_name,
)
from local.providers.kubernetes.provider import KubernetesProvider
from local.providers.serve import ProviderError
from local.providers.values import UNKNOWN, Properties, plain_map, wrap_map

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def urn(token: str, name: str = "logical") -> str:
    return f"urn:pulumi:dev::project::{token}::{name}"


async def check(token: str, news: dict[str, Any], olds: dict[str, Any] | None = None) -> rpc.CheckResponse:
    request = rpc.CheckRequest(urn(token), wrap_map(olds or {}), wrap_map(news), b"seed")
    return await KubernetesProvider().check(request)


async def diff(token: str, old: dict[str, Any], new: dict[str, Any]) -> rpc.DiffResponse:
    """Both as they come from Check; the old state is what a server would have made of the old inputs."""
    state = {**old, "metadata": {"namespace": "default", **old["metadata"], "uid": "1"}, "__inputs": old}
    return await KubernetesProvider().diff(
        rpc.DiffRequest(urn(token), "id", wrap_map(state), wrap_map(new), [])
    )


@pytest.mark.parametrize(
    "token", ["kubernetes:apps/v1:Deployment", "kubernetes:core/v1:Pod", "kubernetes:helm.sh/v4:Chart"]
)
def test_other_types_are_refused_by_name(token: str) -> None:
    with pytest.raises(ProviderError, match="is not among the types the stand-in") as refusal:
        kind_of(token)
    assert token in str(refusal.value)


@pytest.mark.parametrize(
    ("token", "path"),
    [
        ("kubernetes:core/v1:Namespace", "/api/v1/namespaces/x"),
        ("kubernetes:core/v1:PersistentVolume", "/api/v1/persistentvolumes/x"),
        ("kubernetes:core/v1:Secret", "/api/v1/namespaces/ns/secrets/x"),
        (
            "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
            "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/rolebindings/x",
        ),
        ("kubernetes:batch/v1:CronJob", "/apis/batch/v1/namespaces/ns/cronjobs/x"),
        ("kubernetes:networking.k8s.io/v1:Ingress", "/apis/networking.k8s.io/v1/namespaces/ns/ingresses/x"),
    ],
)
def test_paths(token: str, path: str) -> None:
    assert kind_of(token).path("ns", "x") == path


async def test_check_names_and_keeps_the_name() -> None:
    first = plain_map((await check(CONFIG_MAP, {"data": {"a": "1"}})).inputs or {})
    assert first["metadata"]["name"].startswith("logical-")
    assert first["metadata"]["annotations"] == {AUTONAMED: "true"}
    second = plain_map((await check(CONFIG_MAP, {"data": {"a": "2"}}, first)).inputs or {})
    assert second["metadata"]["name"] == first["metadata"]["name"]
    named = plain_map((await check(CONFIG_MAP, {"metadata": {"name": "own"}}, first)).inputs or {})
    assert named["metadata"] == {"name": "own"}


async def test_check_refuses_unknown_fields() -> None:
    answer = await check(CONFIG_MAP, {"dta": {}})
    assert [(failure.property, "no field dta" in failure.reason) for failure in answer.failures or []] == [
        ("dta", True)
    ]


async def test_a_secret_is_secret_whatever_the_program_says() -> None:
    answer = await check("kubernetes:core/v1:Secret", {"stringData": {"a": "1"}, "data": {"b": "Mg=="}})
    inputs = answer.inputs or {}
    assert inputs["stringData"].is_secret
    assert inputs["data"].is_secret
    assert not inputs["metadata"].is_secret
    state = checkpoint(
        plain_map(inputs), {"kind": "Secret", "metadata": {}, "data": {"a": "MQ=="}}, inputs, "m"
    )
    assert state["data"].is_secret
    assert state["__inputs"].contains_secret()


def object_of(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, **more}


async def test_config_map_data_replaces_and_deletes_first_only_with_a_fixed_name() -> None:
    fixed = await diff(CONFIG_MAP, object_of(data={"a": "1"}), object_of(data={"a": "2"}))
    assert (fixed.replaces, fixed.delete_before_replace) == (["data.a"], True)
    auto = {"name": "m", "annotations": {AUTONAMED: "true"}}
    named = await diff(
        CONFIG_MAP, object_of(metadata=auto, data={"a": "1"}), object_of(metadata=auto, data={"a": "2"})
    )
    assert (named.replaces, named.delete_before_replace) == (["data.a"], False)
    moved = await diff(CONFIG_MAP, object_of(), object_of(metadata={"name": "other"}))
    assert (moved.replaces, moved.delete_before_replace) == (["metadata.name"], False)


async def test_labels_update_in_place() -> None:
    answer = await diff(CONFIG_MAP, object_of(), object_of(metadata={"name": "m", "labels": {"a": "b"}}))
    assert (answer.changes, answer.replaces) == (True, [])


async def test_unknown_values_are_changes() -> None:
    answer = await diff(CONFIG_MAP, object_of(data={"a": "1"}), object_of(data={"a": UNKNOWN}))
    assert answer.replaces == ["data.a"]


@pytest.mark.parametrize(
    ("mutable", "immutable", "paths"),
    [(False, False, True), (True, False, False), (True, True, True)],
)
def test_mutable_config_maps(mutable: bool, immutable: bool, paths: bool) -> None:
    kind = kind_of(CONFIG_MAP)
    found = replacing(kind, mutable_config_maps=mutable, mutable_secrets=False, immutable=immutable)
    assert ("data" in found) is paths
    assert "metadata.name" in found


@pytest.mark.parametrize(
    ("token", "path"),
    [
        ("kubernetes:core/v1:PersistentVolumeClaim", "spec.storageClassName"),
        ("kubernetes:core/v1:PersistentVolume", "spec.hostPath"),
        ("kubernetes:batch/v1:Job", "spec.template"),
        ("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "roleRef"),
        ("kubernetes:core/v1:Secret", "stringData"),
    ],
)
def test_what_cannot_change(token: str, path: str) -> None:
    assert path in replacing(
        kind_of(token), mutable_config_maps=False, mutable_secrets=False, immutable=False
    )


def test_prune_keeps_only_what_the_inputs_speak_of() -> None:
    live = {"spec": {"a": 1, "server": 2, "list": [{"x": 1, "y": 2}, {"x": 3}]}, "status": {}}
    assert prune(live, {"spec": {"a": 0, "list": [{"x": 0}], "gone": 1}}) == {
        "spec": {"a": 1, "list": [{"x": 1}, {"x": 3}]}
    }


def test_equal_in_meaning_is_equal() -> None:
    kind = kind_of("kubernetes:core/v1:PersistentVolumeClaim")

    def claim(size: str, **more: Any) -> dict[str, Any]:
        return {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": size}}, **more}}

    assert differences(kind, claim("1024Mi"), claim("1Gi"), claim("1024Mi")) == {}
    assert differences(kind, claim("1Gi"), claim("1Gi"), claim("2Gi")) == {
        "spec.resources.requests.storage": PropertyDiffKind.UPDATE
    }
    assert differences(kind, claim("1Gi"), claim("1Gi"), claim("1Gi", dataSource={}, volumeMode="Block")) == {
        "spec.volumeMode": PropertyDiffKind.ADD
    }


@pytest.mark.parametrize(
    ("text", "same"),
    [("500m", "0.5"), ("1Gi", "1024Mi"), ("1", 1), ("1k", "1000"), ("0.1", "100m"), ("2e3", "2k")],
)
def test_quantities(text: str, same: Any) -> None:
    assert quantity(text) == quantity(same) is not None


@pytest.mark.parametrize("text", ["", "none", "1Xi"])
def test_no_quantities(text: str) -> None:
    assert quantity(text) is None


def test_an_unknown_name_is_left_alone() -> None:
    assert with_name({"metadata": {"name": UNKNOWN}}, {}, "logical", b"s") == {"metadata": {"name": UNKNOWN}}


def test_kubeconfig_by_path_text_and_context(tmp_path: Path) -> None:
    text = """
clusters: [{name: a, cluster: {server: "https://a"}}, {name: b, cluster: {server: "https://b"}}]
contexts: [{name: one, context: {cluster: a}}, {name: two, context: {cluster: b, namespace: deep}}]
current-context: one
"""
    file = tmp_path / "config"
    file.write_text(text)
    assert Kubeconfig(str(file)).cluster["server"] == "https://a"
    chosen = Kubeconfig(text, "two")
    assert (chosen.cluster["server"], chosen.namespace) == ("https://b", "deep")
    with pytest.raises(Unreachable, match="no cluster"):
        Kubeconfig(text, "three")
    with pytest.raises(Unreachable, match="cannot be read"):
        Kubeconfig(str(tmp_path / "missing"))
    assert configuration.moved({"kubeconfig": text}, {"kubeconfig": text, "context": "two"}) == ["context"]
    assert configuration.moved({"kubeconfig": text}, {"kubeconfig": str(file)}) == []


def test_provider_settings_are_read_and_refused() -> None:
    read = configuration.read(
        {"kubeconfig": UNKNOWN, "upsertExistingObjects": "true", "enableConfigMapMutable": "false"}
    )
    assert (read.upsert, read.mutable_config_maps, read.cluster) == (True, False, None)
    assert [key for key, _ in configuration.refused({"kubeconfg": "x", "context": "y"})] == ["kubeconfg"]
    assert [key for key, _ in configuration.refused({"renderYamlToDirectory": "x"})] == [
        "renderYamlToDirectory"
    ]
    assert [key for key, _ in configuration.refused({"enableServerSideApply": "false"})] == [
        "enableServerSideApply"
    ]


# --- Helm releases -----------------------------------------------------------------------------

RELEASE = "kubernetes:helm.sh/v3:Release"


def chart(folder: Path, version: str = "1.2.3") -> str:
    (folder / "Chart.yaml").write_text(f"{{apiVersion: v2, name: c, version: {version}}}")
    return str(folder)


async def test_release_check_resolves_name_version_and_timeout(tmp_path: Path) -> None:
    answer = await check(RELEASE, {"chart": chart(tmp_path), "compat": "true", "values": {"a": None}})
    inputs = plain_map(answer.inputs or {})
    assert not answer.failures
    assert inputs.pop("name").startswith("logical-")
    expected = {
        "chart": str(tmp_path),
        "namespace": "default",
        "timeout": 300,
        "version": "1.2.3",
        "values": {"a": None},
    }
    assert inputs == expected


async def test_release_refuses_what_it_cannot_honour(tmp_path: Path) -> None:
    answer = await check(
        RELEASE,
        {"chart": chart(tmp_path), "valuse": {}, "recreatePods": True, "repositoryOpts": {"url": "x"}},
    )
    assert [failure.property for failure in answer.failures or []] == [
        "valuse",
        "recreatePods",
        "repositoryOpts",
    ]


def release_state(inputs: dict[str, Any], **live: Any) -> Properties:
    state = wrap_map({**inputs, "status": {"status": "deployed", "revision": 1}, **live})
    return {**state, "__inputs": PropertyValue(wrap_map(inputs), is_secret=True)}


@pytest.mark.parametrize(
    ("live", "changed"),
    [
        ({}, []),
        ({"values": {"a": 2}}, ["values.a"]),
        ({"values": {"a": 1, "hand": True}}, ["values.hand"]),
        ({"values": {"a": 1, "nothing": None}}, []),
        ({"version": "2"}, ["version"]),
        ({"status": {"status": "failed"}}, ["status"]),
        ({"status": {"status": "deployed", "revision": 9}}, []),
    ],
)
async def test_release_drift(live: dict[str, Any], changed: list[str]) -> None:
    inputs = {"name": "r", "namespace": "n", "chart": "c", "version": "1", "values": {"a": 1}}
    request = rpc.DiffRequest(urn(RELEASE), "n/r", release_state(inputs, **live), wrap_map(inputs), [])
    answer = await KubernetesProvider().diff(request)
    assert (sorted(answer.detailed_diff), answer.replaces) == (changed, [])


async def test_reused_values_are_no_drift() -> None:
    inputs = {
        "name": "r",
        "namespace": "n",
        "chart": "c",
        "version": "1",
        "values": {"a": 1},
        "reuseValues": True,
    }
    old = release_state(inputs, values={"a": 1, "earlier": 2})
    request = rpc.DiffRequest(urn(RELEASE), "n/r", old, wrap_map(inputs), [])
    assert not (await KubernetesProvider().diff(request)).changes


async def test_release_moves_by_replacement() -> None:
    inputs = {"name": "r", "namespace": "n", "chart": "c", "version": "1"}
    request = rpc.DiffRequest(
        urn(RELEASE), "n/r", release_state(inputs), wrap_map({**inputs, "namespace": "m"}), []
    )
    assert (await KubernetesProvider().diff(request)).replaces == ["namespace"]


def test_values_layers_and_manifest_names() -> None:
    assert merged([{"a": {"x": 1, "l": [1]}, "b": 1}, {"a": {"y": 2, "l": [2]}, "b": None}]) == {
        "a": {"x": 1, "y": 2, "l": [2]},
        "b": None,
    }
    item = "{{kind: A, apiVersion: v1, metadata: {{name: {name}}}}}\n"
    manifest = "---\n".join(["", item.format(name="x"), "# only a comment\n", item.format(name="y")])
    assert resource_names(manifest, "n") == {"A/v1": ["n/x", "n/y"]}


def test_names_of_a_release_are_sorted_with_the_namespace_of_those_that_have_one() -> None:
    manifest = """
kind: Role
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: z, namespace: other}
---
kind: Role
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: a}
---
kind: PriorityClass
apiVersion: scheduling.k8s.io/v1
metadata: {name: hub}
"""
    assert resource_names(manifest, "n") == {
        "Role/rbac.authorization.k8s.io/v1": ["n/a", "other/z"],
        "PriorityClass/scheduling.k8s.io/v1": ["hub"],
    }
