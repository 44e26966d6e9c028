"""The whole program: what it makes for which stack, where it hangs, and where secrets may go."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.components.conftest import Program
from tests.unit.components.recorder import DIGEST

RELEASE = "kubernetes:helm.sh/v3:Release"
SECRET = "kubernetes:core/v1:Secret"
VOLUMES = ("notebooks", "datasets", "models", "examples")
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class TestWhatIsMade:
    """A stack makes exactly the types that the platform's providers know."""

    def test_minimal_stack(self, program: Program) -> None:
        made = program()
        types = made.types()
        assert sorted(types[SECRET]) == ["identity-secret", "workspace-pull"]
        assert sorted(types["kubernetes:core/v1:PersistentVolume"]) == [
            f"volumes-{volume}" for volume in sorted(VOLUMES)
        ]
        assert sorted(types["keycloak:index/group:Group"]) == ["identity-group-jupyter_admin"]
        assert "keycloak:index/realm:Realm" not in types
        assert types["kubernetes:batch/v1:Job"] == ["examples-first"], (
            "without a token nothing can be asked to sync"
        )
        assert made.outputs["url"] == "https://jupyter.example.org"
        assert made.outputs["claims"] == {
            "notebooks": "jupyter-notebooks-pvc",
            "datasets": "jupyter-datasets-pvc",
            "models": "jupyter-models-pvc",
            "examples": "jupyterhub-examples-pvc",
        }
        assert made.outputs["release_status"] == "deployed"

    def test_only_types_that_every_platform_has(self, program: Program) -> None:
        made = program(
            {
                "identity": {"createRealm": True, "caBundle": CA, "groups": ["team"]},
                "images": {"dockerHost": "unix:///x"},
            },
            {"harbor_robot_token": "a", "keycloak_admin_password": "b", "thinkube_control_token": "c"},
        )
        kinds = {
            typ.rpartition(":")[2] for typ in made.types() if not typ.startswith(("thinkube:", "pulumi:"))
        }
        assert kinds == {
            "Namespace", "PersistentVolume", "PersistentVolumeClaim", "ConfigMap", "Secret", "Role", "RoleBinding",
            "Job", "CronJob", "NetworkPolicy", "Release",
            "Realm", "Client", "GroupMembershipProtocolMapper", "Group", "Image",
        }  # fmt: skip
        assert sorted(typ for typ in made.types() if typ.startswith("pulumi:providers:")) == [
            "pulumi:providers:docker",
            "pulumi:providers:keycloak",
            "pulumi:providers:kubernetes",
        ]

    def test_prebuilt_needs_no_docker(self, program: Program) -> None:
        reference = f"registry.example.org:5000/team/tk-jupyter-scipy:1.2@{DIGEST}"
        made = program({"images": {"mode": "prebuilt", "prebuilt": {"tk-jupyter-scipy": reference}}})
        assert not [typ for typ in made.types() if "docker" in typ]
        assert made.outputs["images"] == {"tk-jupyter-scipy": reference}

    def test_every_resource_hangs_under_its_component(self, program: Program) -> None:
        made = program()
        for name, request in made.requests.items():
            if name.startswith(("thinkube:", "pulumi:pulumi:", "pulumi:providers:kubernetes")):
                continue
            assert "thinkube:" in request.parent, name
            assert request.parent.rpartition("::")[2] == request.name.partition("-")[0], name


class TestDataIsKept:
    """Namespace, claims and volumes survive destroy and are taken over again; all else goes."""

    def test_options(self, program: Program) -> None:
        made = program()
        kept = {name for name, request in made.requests.items() if request.retainOnDelete}
        assert kept == {
            "kubernetes:core/v1:Namespace workspace-namespace",
            *(f"kubernetes:core/v1:PersistentVolume volumes-{volume}" for volume in VOLUMES),
            *(f"kubernetes:core/v1:PersistentVolumeClaim volumes-{volume}-claim" for volume in VOLUMES),
        }
        assert not any(request.protect for request in made.requests.values())
        for item in made.resources:
            if item.typ.startswith("kubernetes:"):
                expected = "cluster-kept" if f"{item.typ} {item.name}" in kept else "cluster"
                assert made.provider(item.typ, item.name) == expected, item.name
        assert made.inputs("pulumi:providers:kubernetes", "cluster-kept")["upsertExistingObjects"] == "true"
        assert "upsertExistingObjects" not in made.inputs("pulumi:providers:kubernetes", "cluster")

    def test_what_others_changed_is_mended_and_not_a_conflict(self, program: Program) -> None:
        made = program()
        for provider in ("cluster", "cluster-kept"):
            assert made.inputs("pulumi:providers:kubernetes", provider)["enablePatchForce"] == "true"

    def test_the_stack_names_the_cluster(self, program: Program) -> None:
        made = program({"kubernetes:context": "production"})
        for provider in ("cluster", "cluster-kept"):
            assert made.inputs("pulumi:providers:kubernetes", provider)["context"] == "production"

    def test_several_kubeconfigs_are_the_provider_s_to_merge(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KUBECONFIG", "/a/config:/b/config")
        assert program().inputs("pulumi:providers:kubernetes", "cluster")["kubeconfig"] == ""
        monkeypatch.setenv("KUBECONFIG", "/a/config")
        assert program().inputs("pulumi:providers:kubernetes", "cluster")["kubeconfig"] == "/a/config"


class TestSecrets:
    """Secrets reach the cluster in Secrets, and nothing else."""

    def test_no_secret_outside_of_secrets(self, program: Program) -> None:
        secrets = {
            "harbor_robot_token": "word-of-the-robot",
            "keycloak_admin_password": "word-of-the-admin",
            "thinkube_control_token": "word-of-control",
            "tls_private_key": "word-of-tls",
        }
        made = program({"tls_certificate": CA, "hub": {}}, secrets)
        allowed = {
            SECRET,
            "pulumi:providers:keycloak",
            "docker:index/image:Image",
            "keycloak:openid/client:Client",
        }
        words = [*secrets.values(), "made-by-keycloak"]
        for item in made.resources:
            if item.typ not in allowed:
                text = json.dumps(item.inputs, default=str)
                assert not [word for word in words if word in text], item.name
        assert not [word for word in words if word in json.dumps(made.outputs)]

    def test_what_carries_them_is_marked_secret(self, program: Program) -> None:
        made = program(
            {}, {"harbor_robot_token": "a", "keycloak_admin_password": "b", "thinkube_control_token": "c"}
        )
        for item in made.resources:
            if item.typ == SECRET:
                data: Any = item.inputs["data"]
                values = data.values() if isinstance(data, dict) and "value" not in data else [data]
                assert all(isinstance(value, dict) for value in values), f"{item.name} is plain in the state"


class TestHubRelease:
    """The release gets what the other components made."""

    def test_values_are_wired(self, program: Program) -> None:
        made = program({"identity": {"caBundle": CA}})
        release = made.inputs(RELEASE)
        values = release["values"]
        assert (release["chart"], release["version"]) == ("jupyterhub", "4.4.0")
        assert (release["name"], release["namespace"]) == ("jupyterhub", "jupyterhub")
        assert values["imagePullSecrets"] == [{"name": "harbor-pull"}]
        package = values["hub"]["extraVolumes"][0]["configMap"]
        assert package["name"] == "profiles-0000"
        assert {"key": "__init__.py", "path": "__init__.py"} in package["items"]
        assert values["hub"]["extraVolumes"][1]["configMap"]["items"] == [
            {"key": "50-thinkube.py", "path": "50-thinkube.py"}
        ]
        assert values["singleuser"]["storage"]["extraVolumeMounts"][0] == {
            "name": "notebooks",
            "mountPath": "/home/jovyan/thinkube/notebooks",
            "subPath": "{username}",
        }

    def test_catalogue_names_the_digest(self, program: Program) -> None:
        made = program()
        catalogue = made.inputs("kubernetes:core/v1:ConfigMap", "images-catalogue")
        assert catalogue["metadata"]["name"] == "jupyterhub-image-catalogue"
        (image,) = json.loads(catalogue["data"]["manifest.json"])["images"]
        built = made.inputs("docker:index/image:Image")
        assert built["imageName"] == f"harbor.example.org/library/tk-jupyter-scipy:{image['tag']}"
        assert image["repository"] == "library/tk-jupyter-scipy"
        assert image["metadata"]["digest"] == DIGEST
        assert image["metadata"]["default"] is True

    def test_rights_of_the_hub(self, program: Program) -> None:
        role = program().inputs("kubernetes:rbac.authorization.k8s.io/v1:Role")
        (rule,) = role["rules"]
        assert rule["resourceNames"] == ["jupyterhub-image-catalogue"]
        assert rule["verbs"] == ["get"]


class TestClient:
    """The client can do the standard flow with PKCE, at one address, and nothing else."""

    def test_client(self, program: Program) -> None:
        client = program().inputs("keycloak:openid/client:Client")
        assert client["accessType"] == "CONFIDENTIAL"
        assert client["pkceCodeChallengeMethod"] == "S256"
        assert client["validRedirectUris"] == ["https://jupyter.example.org/hub/oauth_callback"]
        assert client["webOrigins"] == []
        for flow in ("implicitFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled"):
            assert client[flow] is False
        assert client["fullScopeAllowed"] is False, "an admin's token would carry the admin's rights"

    def test_a_busy_keycloak_has_time_to_answer(self, program: Program) -> None:
        assert int(program().inputs("pulumi:providers:keycloak")["clientTimeout"]) >= 60


class TestSync:
    """With a token, thinkube-control is told of each new catalogue, from inside the cluster."""

    def test_job(self, program: Program) -> None:
        job = program(
            {}, {"harbor_robot_token": "a", "keycloak_admin_password": "b", "thinkube_control_token": "c"}
        ).inputs("kubernetes:batch/v1:Job", "images-sync")
        assert "name" not in job["metadata"], "autonamed, or a new catalogue could not replace it"
        assert "ttlSecondsAfterFinished" not in job["spec"], (
            "a Job that is gone would run again with every up"
        )
        assert job["metadata"]["annotations"]["pulumi.com/replaceUnready"] == "true", (
            "a Job that failed once would fail every later up"
        )
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == f"harbor.example.org/library/tk-jupyter-scipy@{DIGEST}"
        assert container["env"][1]["valueFrom"]["secretKeyRef"]["key"] == "token"
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
