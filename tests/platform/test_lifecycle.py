"""Lifecycle of the deployed stack on the real engine: drift, broken updates, roll back, and users who go on working."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client
from playwright.sync_api import Browser, Page

from local import credentials as credential_store
from local import keycloak, seaweed
from local.cluster_parts import api_client
from local.credentials import PLAIN_USER
from local.engine import EngineError, Stack
from local.platform import TEST
from tests.operations import killed_update, run_documented
from tests.platform.conftest import stop_servers
from tests.platform.hub import Hub
from tests.platform.lifecycle import (
    Change,
    Notebook,
    appended,
    changed_program,
    configured,
    hub_answers,
    release_status,
    replaced,
)

CATALOGUE = "jupyterhub-image-catalogue"
SHIM = "notebooks-profile/50-thinkube.py"
DOCKERFILE = "dockerfiles/tk-jupyter-scipy/Dockerfile"
Program = Callable[..., Stack]


@pytest.fixture
def program(tmp_path: Path, hub_stack: Stack) -> Program:
    """``program(change, ...)``: a changed copy of the program on the tests' stack."""

    def make(*changes: Change) -> Stack:
        return changed_program(tmp_path / f"program-{len(list(tmp_path.iterdir()))}", *changes)

    return make


@pytest.fixture(scope="module")
def notebook(hub: Hub, browser: Browser) -> Iterator[Notebook]:
    """A server that runs while the stack is changed under it."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(30_000)
        hub.log_in(page, PLAIN_USER)
        hub.start(page, PLAIN_USER)
        (pod,) = hub.notebook_pods()
        kernel = hub.server(page, PLAIN_USER).kernel()
        kernel.run("known = 'from before'")
        yield Notebook(hub, kernel, pod.metadata.uid)
    stop_servers(hub, browser)


@pytest.fixture(scope="module", autouse=True)
def as_it_was(hub_stack: Stack, request: pytest.FixtureRequest) -> Iterator[None]:
    """The stack is the program's again after these tests, whatever became of them."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed == failed:
        return  # each test has proved it
    try:
        hub_stack.up(refresh=True)
    except EngineError:  # a test failed in the middle of what it broke
        run_documented("The engine was killed", hub_stack, NAMESPACE=TEST.namespace)


def test_changes_made_by_hand_are_shown_by_refresh_and_mended_by_up(hub_stack: Stack, hub: Hub) -> None:
    """What the chart made is mended as documented: Helm compares its own records, so that no refresh sees it."""
    apps = client.AppsV1Api(api_client())
    core, rights = client.CoreV1Api(api_client()), client.RbacAuthorizationV1Api(api_client())
    realm = keycloak.admin(credential_store.load(), TEST.realm)
    core.patch_namespaced_config_map(CATALOGUE, TEST.namespace, {"data": {"manifest.json": "{}"}})
    core.delete_namespaced_secret("harbor-pull", TEST.namespace)
    (role,) = (
        role
        for role in rights.list_namespaced_role(TEST.namespace).items
        if role.metadata.name.startswith("hub-catalogue-")
    )
    rights.patch_namespaced_role(role.metadata.name, TEST.namespace, {"rules": []})
    key = realm.get_client_id("jupyterhub")
    assert key
    realm.update_client(key, {"redirectUris": ["https://elsewhere.example.org/*"]})
    (mapper,) = realm.get_mappers_from_client(key)
    realm.remove_client_mapper(key, mapper["id"])
    apps.patch_namespaced_deployment_scale("hub", TEST.namespace, {"spec": {"replicas": 0}})

    assert hub_stack.refresh().changes == {"update": 3, "delete": 2}
    todo = {(step.op, step.name) for step in hub_stack.preview().steps if step.op != "same"}
    assert todo == {
        ("update", "images-catalogue"),
        ("create", "workspace-pull"),
        ("update", "hub-catalogue"),
        ("update", "identity-client"),
        ("create", "identity-groups"),
    }
    assert hub_stack.up().changes == {"update": 3, "create": 2}

    assert core.read_namespaced_config_map(CATALOGUE, TEST.namespace).data["manifest.json"] != "{}"
    assert rights.read_namespaced_role(role.metadata.name, TEST.namespace).rules[0].verbs == ["get"]
    assert realm.get_client(key)["redirectUris"] == [f"{hub.url}/hub/oauth_callback"]
    assert [found["name"] for found in realm.get_mappers_from_client(key)] == ["groups"]
    assert apps.read_namespaced_deployment("hub", TEST.namespace).spec.replicas == 0

    run_documented("Something that the chart made was changed by hand", hub_stack, NAMESPACE=TEST.namespace)
    assert apps.read_namespaced_deployment("hub", TEST.namespace).spec.replicas == 1
    assert hub_answers(hub)
    assert hub_stack.up().changes == {}


def test_a_rename_with_an_alias_changes_nothing(program: Program) -> None:
    old = 'profiles = ProfileCode(\n    "profiles",\n'
    new = old.replace('"profiles"', '"hub-code"')
    arguments = 'folder=Path("notebooks-profile")),\n'
    alias = f'{arguments}    pulumi.ResourceOptions(aliases=[pulumi.Alias(name="profiles")]),\n'

    renamed = program(replaced("__main__.py", old, new), replaced("__main__.py", arguments, alias))
    assert renamed.preview().changes == {}
    bare = program(replaced("__main__.py", old, new)).preview().changes
    assert (bare["create"], bare["delete"]) == (2, 2)


def test_a_wrong_configuration_is_refused_in_preview(hub_stack: Stack, tmp_path: Path) -> None:
    """A group and a realm that are not there, and a chart that cannot be had."""
    chart = {"path": "", "repository": tmp_path.as_uri().replace("file://", "http://127.0.0.1:9")}
    for section, values, sentence in (
        ("identity", {"createGroups": False, "adminGroup": "nobody"}, "key identity.adminGroup: Keycloak does not"),
        ("identity", {"realm": "nowhere"}, "it has no realm nowhere .*config key identity.realm"),
        ("hub", {"chart": chart}, "check the chart"),
    ):  # fmt: skip
        with configured(hub_stack, **{section: values}), pytest.raises(EngineError, match=sentence):
            hub_stack.preview()


def test_an_image_that_does_not_build_and_an_object_that_is_refused_change_nothing(
    program: Program, hub_stack: Stack
) -> None:
    broken = program(appended(DOCKERFILE, "RUN echo this-step-breaks && false\n"))
    # known before: that it will be built, under which tag; not: that the build fails
    assert broken.preview().of("images-tk-jupyter-scipy")[0].op == "update"
    with pytest.raises(EngineError, match="this-step-breaks"):
        broken.up()

    broken = program(replaced("components/hub.py", '"verbs": ["get"],', '"verbs": [],'))
    with pytest.raises(EngineError, match="verbs"):
        broken.up()

    assert hub_stack.up().changes == {}


def test_a_release_that_does_not_get_ready_is_rolled_back(
    program: Program, hub_stack: Stack, hub: Hub, notebook: Notebook
) -> None:
    """Broken profile code: the hub would not start. Helm puts the old hub back, whose code must still be there."""
    broken = program(appended(SHIM, 'raise RuntimeError("this code is broken")\n'))
    with (
        configured(hub_stack, hub={"releaseTimeoutSeconds": 30}),
        pytest.raises(EngineError, match="rolled back due to atomic"),
    ):
        broken.up()
    assert release_status() == "deployed"
    assert hub_answers(hub)
    assert notebook.goes_on()

    hub_stack.up()
    assert hub_answers(hub)
    assert notebook.goes_on()
    maps = client.CoreV1Api(api_client()).list_namespaced_config_map(TEST.namespace).items
    assert len([found for found in maps if found.metadata.name.startswith("profiles-")]) == 1


def test_an_update_that_was_killed_is_got_over_as_documented(
    program: Program, hub_stack: Stack, hub: Hub, notebook: Notebook
) -> None:
    changed = program(appended(SHIM, "# another version\n"))
    killed_update(changed, lambda: release_status() == "pending-upgrade")
    assert notebook.goes_on()
    locks = hub_stack.folder / "backend/.pulumi/locks/organization" / hub_stack.project / hub_stack.name
    assert list(locks.glob("*.json"))

    run_documented("The engine was killed", hub_stack, NAMESPACE=TEST.namespace)
    assert release_status() == "deployed"
    assert hub_answers(hub)
    assert notebook.goes_on()
    assert hub_stack.export()["deployment"].get("pending_operations", []) == []


def test_the_previous_revision_rolls_back_image_code_values_and_volumes(
    program: Program, hub_stack: Stack, hub: Hub, notebook: Notebook
) -> None:
    core = client.CoreV1Api(api_client())
    catalogue = core.read_namespaced_config_map(CATALOGUE, TEST.namespace).data["manifest.json"]
    places = seaweed.folder(TEST.stack) / "extra"
    places.mkdir(exist_ok=True)
    settings = "components/settings/surroundings.py"
    added = 'class Extra(Volume):\n    """Added."""\n\n    size: Quantity = Field("1Gi")\n\n\n'
    later = program(
        appended(DOCKERFILE, "LABEL org.example.revision=later\n"),
        appended(SHIM, "# a later revision\n"),
        replaced(
            "components/hub_values.py", '"consecutiveFailureLimit": 0,', '"consecutiveFailureLimit": 7,'
        ),
        replaced(
            "components/notebook_values.py",
            '    "notebooks": Mount',
            '    "extra": Mount("extra"),\n    "notebooks": Mount',
        ),
        replaced(settings, "class Volumes(Section):\n", f"{added}class Volumes(Section):\n"),
        replaced(
            settings, "    notebooks: ", "    extra: Extra = Field(default_factory=Extra)\n    notebooks: "
        ),
    )
    later.up()
    assert core.read_namespaced_config_map(CATALOGUE, TEST.namespace).data["manifest.json"] != catalogue
    claim = core.read_namespaced_persistent_volume_claim("jupyter-extra-pvc", TEST.namespace)
    (places / "kept.txt").write_text("by its users")
    assert notebook.goes_on()

    hub_stack.up()
    assert core.read_namespaced_config_map(CATALOGUE, TEST.namespace).data["manifest.json"] == catalogue
    (hub_pod,) = core.list_namespaced_pod(TEST.namespace, label_selector="component=hub").items
    mounted = next(v.config_map.name for v in hub_pod.spec.volumes if v.name == "profile-shim")
    assert (
        "a later revision"
        not in core.read_namespaced_config_map(mounted, TEST.namespace).data["50-thinkube.py"]
    )
    values = core.read_namespaced_secret("hub", TEST.namespace).data["values.yaml"]
    assert "consecutiveFailureLimit: 7" not in base64.b64decode(values).decode()
    assert notebook.goes_on()
    assert (places / "kept.txt").read_text() == "by its users"

    later.up(targets=[_urn(later, "kubernetes:core/v1:PersistentVolumeClaim", "volumes-extra-claim"),
                      _urn(later, "kubernetes:core/v1:PersistentVolume", "volumes-extra")])  # fmt: skip
    again = core.read_namespaced_persistent_volume_claim("jupyter-extra-pvc", TEST.namespace)
    assert (again.metadata.uid, again.status.phase) == (claim.metadata.uid, "Bound")


def test_files_are_there_and_mounted_after_destroy_and_up(
    hub_stack: Stack, hub: Hub, browser: Browser, page: Page
) -> None:
    stop_servers(hub, browser)
    kept = hub.volume / PLAIN_USER / "before-destroy.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("still here")
    kept.chmod(0o644)

    hub_stack.destroy()
    assert kept.read_text() == "still here"
    todo = hub_stack.preview().changes
    assert hub_stack.up().changes == todo
    assert hub_stack.up().changes == {}

    hub.log_in(page, PLAIN_USER)
    hub.start(page, PLAIN_USER)
    (pod,) = hub.notebook_pods()
    read = hub.exec(pod.metadata.name, "cat", "/home/jovyan/thinkube/notebooks/before-destroy.txt")
    assert read == "still here"
    hub.stop(page)


def _urn(stack: Stack, kind: str, name: str) -> str:
    volumes = "thinkube:storage:SeaweedVolumes"
    return f"urn:pulumi:{stack.name}::{stack.project}::{volumes}${kind}::{name}"
