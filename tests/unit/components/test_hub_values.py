"""The chart's values: valid for the real chart, hardened, and free of what would restart the hub for no reason."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from components.hub_values import hub_values
from components.identity import oidc_urls
from components.notebook_values import HubFacts
from components.settings.models import Image, Settings
from tests.unit.components.conftest import MINIMAL, ROOT
from tests.unit.components.test_settings import STACKS, of_stack

CHART_SCHEMA = ROOT.parent / "shared" / "z2jh" / "values.schema.yaml"


def values_of(config: dict[str, Any], *, ca: bool = False, tag: str = "0123456789abcdef") -> dict[str, Any]:
    settings = Settings.model_validate(config)
    return hub_values(
        settings,
        HubFacts(
            claims={volume: f"{volume}-pvc" for volume in ("notebooks", "datasets", "models", "examples")},
            pull_secret="harbor-pull",
            profile_config_map="profiles-1234",
            profile_files=["__init__.py", "form.py"],
            ca_config_map="jupyterhub-ca" if ca else None,
            ca_digest="abc",
            oidc_secret="jupyterhub-oidc-secret",
            oidc_digest="def",
            urls=oidc_urls(
                "https://auth.example.org", "thinkube", "jupyterhub", "https://jupyter.example.org"
            ),
            catalogue="jupyterhub-image-catalogue",
            tls_secret="jupyterhub-tls",
            default_image=Image(name="harbor.example.org/library/tk-jupyter-scipy", tag=tag),
        ),
    )


def everything() -> dict[str, Any]:
    config = of_stack(STACKS / "everything.happy.yaml")
    return {key: value for key, value in config.items() if ":" not in key}


def test_no_nulls() -> None:
    """The provider drops them, and a refresh would then see drift."""
    assert "null" not in json.dumps(values_of(everything(), ca=True))


@pytest.mark.skipif(not CHART_SCHEMA.is_file(), reason=f"the chart's schema is not there: {CHART_SCHEMA}")
@pytest.mark.parametrize("config", [MINIMAL, everything()], ids=["minimal", "everything"])
def test_valid_for_the_real_chart(config: dict[str, Any]) -> None:
    schema = yaml.safe_load(CHART_SCHEMA.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    # Helm validates the values merged over the chart's own, so what we leave out is not "missing"
    faults = [
        error
        for error in jsonschema.Draft7Validator(schema).iter_errors(values_of(config, ca=True))
        if error.validator != "required"
    ]
    assert not faults, [f"{error.json_path}: {error.message}" for error in faults]


@pytest.mark.skipif(not CHART_SCHEMA.is_file(), reason=f"the chart's schema is not there: {CHART_SCHEMA}")
def test_the_schema_would_refuse_a_wrong_key() -> None:
    schema = yaml.safe_load(CHART_SCHEMA.read_text())
    values = values_of(MINIMAL)
    values["hub"]["extraEnvironment"] = {}
    assert not jsonschema.Draft7Validator(schema).is_valid(values)


class TestNotebookPods:
    """Pod Security `restricted`, no token, nothing mounted on home."""

    def test_hardening(self) -> None:
        values = values_of(MINIMAL)
        spawner, singleuser = values["hub"]["config"]["KubeSpawner"], values["singleuser"]
        assert spawner["automount_service_account_token"] is False
        assert spawner["container_security_context"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "capabilities": {"drop": ["ALL"]},
        }
        assert (singleuser["uid"], spawner["gid"], singleuser["fsGid"]) == (1000, 100, 100)
        assert singleuser["allowPrivilegeEscalation"] is False
        assert singleuser["cloudMetadata"]["blockWithIptables"] is False
        assert singleuser["networkPolicy"]["enabled"] is True

    def test_home_is_the_images(self) -> None:
        storage = values_of(MINIMAL, ca=True)["singleuser"]["storage"]
        assert storage["type"] == "none"
        assert "/home/jovyan" not in [mount["mountPath"] for mount in storage["extraVolumeMounts"]]
        assert "hostPath" not in json.dumps(storage)

    def test_layout(self) -> None:
        storage = values_of(everything())["singleuser"]["storage"]
        mounts = {
            mount["mountPath"].removeprefix("/home/jovyan/"): mount for mount in storage["extraVolumeMounts"]
        }
        assert list(mounts) == [
            "thinkube/notebooks",
            "thinkube/datasets",
            "thinkube/models",
            "thinkube/examples-repo",
            "scratch",
            ".thinkube_env",
        ]
        assert [path for path, mount in mounts.items() if mount.get("readOnly")] == [
            "thinkube/examples-repo",
            ".thinkube_env",
        ]
        assert [path for path, mount in mounts.items() if mount.get("subPath") == "{username}"] == [
            "thinkube/notebooks"
        ]
        volumes = {volume["name"]: volume for volume in storage["extraVolumes"]}
        assert volumes["scratch"]["emptyDir"] == {"sizeLimit": "5Gi"}
        assert volumes["environment"]["secret"] == {
            "secretName": "thinkube-env",
            "items": [{"key": ".thinkube_env", "path": ".thinkube_env"}],
            "defaultMode": 0o440,
        }

    def test_no_environment_file_unless_configured(self) -> None:
        storage = values_of(MINIMAL)["singleuser"]["storage"]
        assert ".thinkube_env" not in json.dumps(storage)

    def test_smallest_size_is_the_bound(self) -> None:
        singleuser = values_of(everything())["singleuser"]
        assert singleuser["memory"] == {"limit": "1G", "guarantee": "0.5G"}
        assert singleuser["cpu"] == {"limit": 0.5, "guarantee": 0.05}


class TestHubRestarts:
    """The chart restarts the hub when a value changes: what changes must be worth it."""

    def test_a_new_image_is_not(self) -> None:
        assert values_of(MINIMAL, tag="a" * 16) == values_of(MINIMAL, tag="b" * 16)

    def test_unless_it_is_to_be_pulled_ahead(self) -> None:
        assert values_of(everything(), tag="a" * 16) != values_of(everything(), tag="b" * 16)

    def test_a_row_of_failed_starts_does_not_end_the_hub(self) -> None:
        assert values_of(MINIMAL)["hub"]["consecutiveFailureLimit"] == 0


class TestLogin:
    """Keycloak's groups decide, and are asked again."""

    def test_every_user_of_the_realm(self) -> None:
        login = values_of(MINIMAL)["hub"]["config"]["GenericOAuthenticator"]
        assert login["allow_all"] is True
        assert "allowed_groups" not in login
        assert login["admin_groups"] == ["/jupyter_admin"], "a nested group of that name makes no admin"
        assert login["admin_users"] == ["ada"]
        assert login["enable_pkce"]
        assert login["manage_groups"]
        assert login["refresh_pre_spawn"]
        assert login["auth_state_groups_key"] == "oauth_user.groups"
        assert "http_request_kwargs" not in login, "public certificates need no bundle"

    def test_groups_only(self) -> None:
        login = values_of(everything(), ca=True)["hub"]["config"]["GenericOAuthenticator"]
        assert "allow_all" not in login
        assert login["allowed_groups"] == ["/cpsHPCAccess"]
        assert login["auth_state_groups_key"] == "oauth_user.roles"
        assert login["http_request_kwargs"] == {"ca_certs": "/etc/thinkube/ca/ca.crt"}

    def test_the_hub_knows_that_it_is_reached_over_tls(self) -> None:
        """Else its cookies are not `Secure`: the proxy behind the Ingress says http."""
        assert (
            values_of(MINIMAL)["hub"]["config"]["JupyterHub"]["public_url"] == "https://jupyter.example.org/"
        )

    def test_the_authenticator_takes_it(self) -> None:
        """Executed on the real class: a misspelt trait is only a warning there, so the traits are compared."""
        from oauthenticator.generic import GenericOAuthenticator
        from traitlets.config import Config

        login = values_of(everything(), ca=True)["hub"]["config"]["GenericOAuthenticator"]
        assert set(login) <= set(GenericOAuthenticator.class_traits(config=True))
        made = GenericOAuthenticator(config=Config({"GenericOAuthenticator": login}))
        assert made.allowed_groups == {"/cpsHPCAccess"}

    def test_the_spawner_takes_it(self) -> None:
        from kubespawner import KubeSpawner

        for config in (MINIMAL, everything()):
            spawner = values_of(config)["hub"]["config"]["KubeSpawner"]
            assert set(spawner) <= set(KubeSpawner.class_traits(config=True))


class TestVerify:
    """The service behind `make verify` reaches one user, who is nobody, and no other."""

    def test_the_token_is_the_charts_to_make(self) -> None:
        assert values_of(MINIMAL)["hub"]["services"] == {"verify": {"display": False}}

    def test_the_role_ends_at_that_user(self) -> None:
        roles = values_of(MINIMAL)["hub"]["loadRoles"]
        assert roles.pop("verify-user") == {
            "description": "thinkube-verify exists", "scopes": ["self"], "users": ["thinkube-verify"],
        }  # fmt: skip
        assert set(roles) == {"verify"}
        assert roles["verify"]["services"] == ["verify"]
        assert [
            scope for scope in roles["verify"]["scopes"] if not scope.endswith("!user=thinkube-verify")
        ] == ["read:metrics"]

    def test_jupyterhub_knows_the_scopes(self) -> None:
        from jupyterhub.scopes import scope_definitions

        for scope in values_of(MINIMAL)["hub"]["loadRoles"]["verify"]["scopes"]:
            assert scope.partition("!")[0] in scope_definitions


class TestIngress:
    """TLS always, by whichever way the certificate comes."""

    def test_issuer(self) -> None:
        ingress = values_of(MINIMAL)["ingress"]
        assert ingress["hosts"] == ["jupyter.example.org"]
        assert ingress["tls"] == [{"hosts": ["jupyter.example.org"], "secretName": "jupyterhub-tls"}]
        assert ingress["annotations"] == {"cert-manager.io/cluster-issuer": "letsencrypt"}
        assert "ingressClassName" not in ingress

    def test_class_and_annotations(self) -> None:
        ingress = values_of(everything())["ingress"]
        assert ingress["ingressClassName"] == "traefik"
        assert set(ingress["annotations"]) == {"traefik.ingress.kubernetes.io/router.entrypoints"}


def test_contract_with_the_hubs_code() -> None:
    ours = values_of(everything())["custom"]["thinkube"]
    assert ours == {
        "control": {
            "url": "http://backend.control.svc:8000/api/v1",
            "refreshSeconds": 5,
            "deadlineSeconds": 1.5,
            "staleAfterSeconds": 20,
        },
        "catalogue": {"namespace": "notebooks", "configMap": "jupyterhub-image-catalogue"},
        "defaultImage": "tk-jupyter-scipy",
        "verifyUser": "thinkube-verify",
        "profiles": {
            "sizes": [
                {"slug": "small", "displayName": "Small", "cpu": 0.5, "memoryGb": 1},
                {"slug": "large", "displayName": "Large", "cpu": 4, "memoryGb": 16},
            ],
            "cpuGuaranteeFraction": 0.1,
            "memoryGuaranteeFraction": 0.5,
        },
    }
