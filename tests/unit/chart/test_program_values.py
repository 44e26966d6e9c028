"""The values that the program emits are honoured by the chart, up to the pod that a user gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import kubespawner.spawner
import pytest
from kubernetes_asyncio.client import ApiClient

from components.hub_values import HubFacts, hub_values
from components.identity import oidc_urls
from components.settings import Settings
from components.settings.models import Image

Objects = dict[str, Any]

STACK: Objects = {
    "domain_name": "example.org",
    "admin_username": "ada",
    "hub": {
        "image": {"name": "harbor.example.org/library/hub", "tag": "1"},
        "proxyImage": {"name": "harbor.example.org/library/proxy", "tag": "1"},
        "imagePullPolicy": "IfNotPresent",
        "ingressClass": "traefik",
        "ingressAnnotations": {"team": "a"},
        "tls": {"secretName": "jupyterhub-tls"},
        "userScheduler": False,
        "prePuller": False,
    },
}


@pytest.fixture(scope="module")
def objects(template: Callable[[Objects], Objects]) -> Objects:
    settings = Settings.model_validate(STACK)
    facts = HubFacts(
        claims={"notebooks": "jupyter-notebooks-pvc"},
        pull_secret="harbor-pull",
        profile_config_map="profiles-abc",
        profile_files=["__init__.py", "form.py"],
        ca_config_map="ca",
        ca_digest="d1",
        oidc_secret="jupyterhub-oidc-secret",
        oidc_digest="d2",
        urls=oidc_urls("https://auth.example.org", "thinkube", "jupyterhub", "https://jupyter.example.org"),
        catalogue="jupyterhub-image-catalogue",
        tls_secret="jupyterhub-tls",
        default_image=Image(name="harbor.example.org/library/tk-jupyter-scipy", tag="abc"),
    )
    return template(hub_values(settings, facts))


@pytest.fixture
def pod(objects: Objects, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Objects:
    """A user's pod, as KubeSpawner makes it from the program's values."""
    config = configure(objects=objects)

    async def manifest() -> Objects:
        monkeypatch.setattr(kubespawner.spawner, "load_config", lambda *_, **__: None)
        spawner = kubespawner.KubeSpawner(_mock=True, config=config)
        spawner.user.name = "zoe"
        async with ApiClient() as client:
            return dict(client.sanitize_for_serialization(await spawner.get_pod_manifest()))

    return asyncio.run(manifest())


def test_hub_mounts_the_profile_code_beside_its_configuration(objects: Objects) -> None:
    hub = objects["Deployment/hub"]["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in hub["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in hub["volumes"]}
    for folder in ("thinkube_profiles", "jupyterhub_config.d"):
        name = mounts[f"/usr/local/etc/jupyterhub/{folder}"]
        assert volumes[name]["configMap"]["name"] == "profiles-abc"
    assert hub["imagePullSecrets"] == [{"name": "harbor-pull"}]
    env = {entry["name"]: entry for entry in hub["containers"][0]["env"]}
    assert env["OAUTH_CLIENT_SECRET"]["valueFrom"]["secretKeyRef"]["name"] == "jupyterhub-oidc-secret"


def test_configuration_has_login_and_settings_of_the_hub_code(
    objects: Objects, configure: Callable[..., Any]
) -> None:
    config = configure(objects=objects)
    import z2jh

    assert config.JupyterHub.authenticator_class.endswith(".KeycloakAuthenticator")
    assert config.GenericOAuthenticator.client_id == "jupyterhub"
    assert z2jh.get_config("custom.thinkube.defaultImage") == "tk-jupyter-scipy"
    assert z2jh.get_config("custom.thinkube.catalogue.configMap") == "jupyterhub-image-catalogue"


def test_the_outside_reaches_the_proxy_over_tls(objects: Objects) -> None:
    ingress = objects["Ingress/jupyterhub"]["spec"]
    assert ingress["rules"][0]["host"] == "jupyter.example.org"
    assert ingress["tls"] == [{"hosts": ["jupyter.example.org"], "secretName": "jupyterhub-tls"}]
    assert ingress["ingressClassName"] == "traefik"
    assert objects["Service/proxy-public"]["spec"]["type"] == "ClusterIP"


def test_pod_passes_pod_security_restricted(pod: Objects) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    spec = pod["spec"]
    assert not spec.get("initContainers")
    for container in spec["containers"]:
        context = spec["securityContext"] | container["securityContext"]
        assert context["runAsNonRoot"] is True
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (1000, 100, 100)
        assert context["allowPrivilegeEscalation"] is False
        assert not context.get("privileged")
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    allowed = {"configMap", "persistentVolumeClaim", "secret", "emptyDir", "projected"}
    assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"])


def test_pod_has_the_users_own_folder_and_no_token(pod: Objects) -> None:
    mounts = {mount["mountPath"]: mount for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    assert mounts["/home/jovyan/thinkube/notebooks"]["subPath"] == "zoe"
    assert "/home/jovyan" not in mounts
    assert pod["spec"]["automountServiceAccountToken"] is False
