"""Each mandatory dependency missing, one by one: preview and up say so in one sentence, and nothing is touched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client

from local import containers, git_server
from local import platform as parts
from local.cluster_parts import api_client, wait_for_deployment
from local.daemons import Daemon
from local.engine import EngineError, Stack
from local.stack import merged
from tests.conftest import Platform
from tests.platform.people import keycloak_frozen

HARBOR, AUTH = "harbor.thinkube.test", "https://auth.thinkube.test"
CONTROL = f"Service backend in namespace {parts.TEST.control_namespace}"
# The ways in which each of them can be missing are told apart in tests/unit/components/preflight.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "keycloak": (
        {"identity": {"url": f"{AUTH}:9"}},
        f"Keycloak: the connection is refused, nothing listens there (tried GET {AUTH}:9/realms/master/",
    ),
    "realm": ({"identity": {"realm": "nobody"}}, "Keycloak: it has no realm nobody"),
    "registry": (
        {"harbor_registry": f"{HARBOR}:9"},
        f"Registry: the connection is refused, nothing listens there (tried GET https://{HARBOR}:9/v2/)",
    ),
    "chart": ({"hub": {"chart": {"path": "/nowhere"}}}, "JupyterHub chart: /nowhere is no tarball"),
    "CSI driver": (
        {"storage": {"backend": "seaweedfs-csi"}},
        "Storage: the cluster has no SeaweedFS CSI driver seaweedfs-csi-driver",
    ),
    "storage class": (
        {"storage": {"backend": "storageClass", "storageClass": "nobody"}},
        "Storage: the cluster has no StorageClass nobody",
    ),
    "ingress class": ({"hub": {"ingressClass": "nobody"}}, "Ingress: the cluster has no IngressClass nobody"),
    "examples repository": (
        {"examples": {"repositories": [{"url": "https://git.thinkube.test/thinkube/nobody.git"}]}},
        "Examples repository: there is no such repository (tried GET https://git.thinkube.test/thinkube/nobody.git/",
    ),
    "cluster": ({"kubernetes:context": "nobody"}, "Kubernetes API: the kubeconfig (KUBECONFIG="),
}  # fmt: skip


@contextlib.contextmanager
def configured(stack: Stack, change: dict[str, Any]) -> Iterator[None]:
    """The stack with this change of its configuration."""
    before = stack.config_file.read_text()
    content = yaml.safe_load(before)
    change = {key if ":" in key else f"{stack.project}:{key}": value for key, value in change.items()}
    stack.config_file.write_text(yaml.safe_dump({**content, "config": merged(content["config"], change)}))
    try:
        yield
    finally:
        stack.config_file.write_text(before)


@contextlib.contextmanager
def stopped(daemon: Daemon) -> Iterator[None]:
    """The platform without this part."""
    daemon.stop()
    try:
        yield
    finally:
        daemon.start()


@contextlib.contextmanager
def scaled_to_zero(namespace: str, name: str) -> Iterator[None]:
    """A Deployment without pods."""
    apps, core = client.AppsV1Api(api_client()), client.CoreV1Api(api_client())
    apps.patch_namespaced_deployment_scale(name, namespace, {"spec": {"replicas": 0}})
    try:
        deadline = time.monotonic() + 60
        while core.list_namespaced_pod(namespace).items:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield
    finally:
        apps.patch_namespaced_deployment_scale(name, namespace, {"spec": {"replicas": 1}})
        wait_for_deployment(namespace, name)


def touched(stack: Stack) -> Any:
    """What the program owns, in the state and in the cluster: a change of any of it shows."""
    namespace = parts.TEST.namespace
    api = api_client()
    core, rights, net = client.CoreV1Api(api), client.RbacAuthorizationV1Api(api), client.NetworkingV1Api(api)
    lists = [
        core.list_namespaced_config_map, core.list_namespaced_secret, core.list_namespaced_service,
        core.list_namespaced_persistent_volume_claim, core.list_namespaced_service_account,
        rights.list_namespaced_role, rights.list_namespaced_role_binding, net.list_namespaced_ingress,
        net.list_namespaced_network_policy, client.BatchV1Api(api).list_namespaced_job,
    ]  # fmt: skip
    objects = [
        (each.__name__, item.metadata.name, item.metadata.uid, item.metadata.resource_version)
        for each in lists
        for item in each(namespace).items
    ]
    deployments = client.AppsV1Api(api).list_namespaced_deployment(namespace).items
    objects += [
        ("deployment", item.metadata.name, item.metadata.uid, item.metadata.generation)
        for item in deployments
    ]
    return sorted(objects), _without_ciphertext(stack.export()["deployment"]["resources"])


def _without_ciphertext(value: Any) -> Any:
    """The engine encrypts anew whenever it saves the state."""
    if isinstance(value, dict):
        return {key: _without_ciphertext(item) for key, item in value.items() if key != "ciphertext"}
    return [_without_ciphertext(item) for item in value] if isinstance(value, list) else value


def refused(stack: Stack, sentence: str, before: Any, *operations: Callable[[], Any]) -> None:
    """Preview and up, or the operations named, end with this sentence alone, and leave everything as it was."""
    for operation in operations or (stack.preview, stack.up):
        with pytest.raises(EngineError) as refusal:
            operation()
        text = str(refusal.value)
        assert "a dependency is missing, nothing was touched" in text
        assert f"  - {sentence}" in text
        assert "Traceback" not in text
    assert touched(stack) == before


@pytest.fixture(scope="module")
def before(hub_stack: Stack) -> Any:
    """What is there, as it has to stay."""
    return touched(hub_stack)


@pytest.mark.parametrize("what", WRONG)
def test_a_dependency_that_is_not_there(what: str, hub_stack: Stack, before: Any) -> None:
    change, sentence = WRONG[what]
    with configured(hub_stack, change):
        refused(hub_stack, sentence, before, hub_stack.up)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("keycloak_admin_password", "Keycloak: it refuses the login of the admin "),
        ("harbor_robot_token", "Registry: it refuses the login of robot$"),
    ],
)
def test_a_wrong_secret(key: str, sentence: str, hub_stack: Stack, before: Any) -> None:
    with configured(hub_stack, {}):
        hub_stack.set_config(secrets={key: "hunter2"})
        refused(hub_stack, sentence, before)


def test_thinkube_control_is_stopped(hub_stack: Stack, before: Any) -> None:
    with scaled_to_zero(parts.TEST.control_namespace, "backend"):
        sentence = f"thinkube-control: its Service has no ready endpoint (tried EndpointSlices of {CONTROL})"
        refused(hub_stack, sentence, before)


def test_the_registry_is_stopped(hub_stack: Stack, before: Any) -> None:
    with stopped(containers.registry()):
        refused(hub_stack, "Registry: it answers HTTP 502 instead of 200 or 401", before)


def test_docker_is_stopped(hub_stack: Stack, before: Any) -> None:
    with stopped(containers.docker_engine()):
        refused(hub_stack, "Docker: no engine answers: ", before)


def test_the_git_server_is_stopped(hub_stack: Stack, before: Any) -> None:
    with stopped(git_server.daemon()):
        refused(hub_stack, "Examples repository: it answers HTTP 502", before)


def test_keycloak_hangs(hub_stack: Stack, before: Any) -> None:
    """It takes half a minute to start: paused, the way to fail that takes longest to notice."""
    with keycloak_frozen():
        refused(hub_stack, "Keycloak: no answer in time (tried GET ", before)


def test_a_review_needs_none_of_it(hub_stack: Stack, platform: Platform) -> None:
    """Without preflight only the providers refuse what they need: thinkube-control is not among it."""
    with configured(
        hub_stack, {"preflight": False, "control": {"url": "http://backend.nobody.svc:8000/api/v1"}}
    ):
        assert hub_stack.preview().changes
