"""Values of the zero-to-jupyterhub chart as one pure function of settings and facts, split by chart section.

Owns what the hub and the proxy look like. Leaves alone: notebook pods (notebook_values.py), the objects beside
the release (hub.py) and what users may pick (custom.thinkube is read by notebooks-profile/). No secret is ever a value:
Helm would keep it in clear in the release; pods read them by reference. Facts may be Outputs, at the leaves
only.

Every key is documented at https://z2jh.jupyter.org/en/stable/resources/reference.html; the chart refuses
others.
"""

from __future__ import annotations

from typing import Any

from components.identity import OIDC_SECRET_KEY, redirect_uri
from components.notebook_values import CA_FILE, CA_FOLDER, HubFacts, config_map_volume, singleuser, spawner
from components.profiles import PACKAGE, SHIM
from components.settings.models import Image, Settings
from components.verify_service import VERIFY_USER, roles, services

__all__ = ["HubFacts", "hub_values", "thinkube_values"]

HUB_CONFIG = "/usr/local/etc/jupyterhub"


def hub_values(settings: Settings, facts: HubFacts) -> dict[str, Any]:
    """Return the chart's values."""
    return {
        "imagePullSecrets": [{"name": facts.pull_secret}],
        "custom": {"thinkube": thinkube_values(settings, facts)},
        "hub": _hub(settings, facts),
        "proxy": _proxy(settings),
        "singleuser": singleuser(settings, facts),
        "ingress": _ingress(settings, facts),
        "cull": _cull(settings.hub.cull_timeout_seconds),
        "scheduling": {
            "userScheduler": {"enabled": settings.hub.user_scheduler},
            "userPlaceholder": {"enabled": False},
            "podPriority": {"enabled": False},
        },
        "prePuller": {
            "hook": {"enabled": settings.hub.pre_puller},
            "continuous": {"enabled": settings.hub.pre_puller},
        },
    }


def thinkube_values(settings: Settings, facts: HubFacts) -> dict[str, Any]:
    """Return `custom.thinkube`, the settings of notebooks-profile/ (contract with that code)."""
    control, profiles = settings.control, settings.profiles
    return {
        "control": {
            "url": control.url,
            "refreshSeconds": control.refresh_seconds,
            "deadlineSeconds": control.deadline_seconds,
            "staleAfterSeconds": control.stale_after_seconds,
        },
        "catalogue": {"namespace": settings.namespace, "configMap": facts.catalogue},
        "defaultImage": settings.images.default,
        "verifyUser": VERIFY_USER,
        "profiles": {
            "sizes": [size.model_dump(by_alias=True) for size in profiles.sizes],
            "cpuGuaranteeFraction": profiles.cpu_guarantee_fraction,
            "memoryGuaranteeFraction": profiles.memory_guarantee_fraction,
        },
    }


def _hub(settings: Settings, facts: HubFacts) -> dict[str, Any]:
    hub = settings.hub
    database = settings.storage.hub_database
    claim: dict[str, Any] = {"storage": database.size}
    if database.storage_class:
        claim["storageClassName"] = database.storage_class
    volumes: list[dict[str, Any]] = [
        config_map_volume("profile-package", facts.profile_config_map, facts.profile_files),
        # apart from the package: every *.py in jupyterhub_config.d is executed as configuration
        config_map_volume("profile-shim", facts.profile_config_map, [SHIM]),
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "profile-package", "mountPath": f"{HUB_CONFIG}/{PACKAGE}", "readOnly": True},
        {"name": "profile-shim", "mountPath": f"{HUB_CONFIG}/jupyterhub_config.d", "readOnly": True},
    ]
    if facts.ca_config_map is not None:
        volumes.append(config_map_volume("ca-bundle", facts.ca_config_map, [CA_FILE]))
        mounts.append({"name": "ca-bundle", "mountPath": CA_FOLDER, "readOnly": True})
    return {
        "config": {
            "JupyterHub": {
                # a GenericOAuthenticator, which reads that section: notebooks-profile/
                "authenticator_class": f"{PACKAGE}.authenticator.KeycloakAuthenticator",
                # The chart sets this old switch. It is off, but it keeps nobody out: since JupyterHub 2 the
                # role `admin` carries access:servers, and that role cannot be narrowed.
                "admin_access": False,
                # The proxy tells the hub `http`, since TLS ends at the Ingress. By this the hub knows better, and marks
                # the cookies of its logins `Secure`.
                "public_url": f"https://{settings.hub_host}/",
            },
            "GenericOAuthenticator": _authenticator(settings, facts),
            "KubeSpawner": spawner(),
        },
        # five failed starts in a row (a full cluster, a registry away) would otherwise end the hub's process
        "consecutiveFailureLimit": 0,
        "db": {"type": "sqlite-pvc", "pvc": claim},
        "extraEnv": {
            "OAUTH_CLIENT_SECRET": {
                "valueFrom": {"secretKeyRef": {"name": facts.oidc_secret, "key": OIDC_SECRET_KEY}}
            }
        },
        "extraVolumes": volumes,
        "extraVolumeMounts": mounts,
        # a pod reads both when it starts only: a rotation must start a new one
        "annotations": {
            "thinkube.io/oidc-secret-digest": facts.oidc_digest,
            "thinkube.io/ca-bundle-digest": facts.ca_digest,
        },
        "services": services(),
        "loadRoles": roles(),
        "networkPolicy": {"enabled": True},
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        **_image("image", hub.image, hub.image_pull_policy),
    }


def _authenticator(settings: Settings, facts: HubFacts) -> dict[str, Any]:
    """oauthenticator 17.4: https://oauthenticator.readthedocs.io/en/latest/reference/api/gen/oauthenticator.generic.html"""
    identity = settings.identity
    values: dict[str, Any] = {
        "client_id": identity.client_id,  # the secret comes from the environment: OAUTH_CLIENT_SECRET
        "login_service": "Keycloak",
        "oauth_callback_url": redirect_uri(f"https://{settings.hub_host}"),
        "authorize_url": facts.urls.authorize,
        "token_url": facts.urls.token,
        "userdata_url": facts.urls.userinfo,
        "logout_redirect_url": facts.urls.logout,
        "scope": ["openid", "profile", "email"],
        "enable_pkce": True,
        "username_claim": "preferred_username",
        "manage_groups": True,
        "auth_state_groups_key": f"oauth_user.{identity.groups_claim}",
        "admin_groups": [identity.claim(identity.admin_group)],
        "admin_users": [settings.admin_username],
        # groups as they are now: asked again before every start, and every five minutes while logged in
        "enable_auth_state": True,
        "refresh_pre_spawn": True,
        "auth_refresh_age": 300,
    }
    if identity.allowed_groups:
        values["allowed_groups"] = [identity.claim(group) for group in identity.allowed_groups]
    else:
        values["allow_all"] = True
    if facts.ca_config_map is not None:
        # the hub's HTTP client (pycurl) does not look at SSL_CERT_FILE
        values["http_request_kwargs"] = {"ca_certs": f"{CA_FOLDER}/{CA_FILE}"}
    return values


def _proxy(settings: Settings) -> dict[str, Any]:
    hub = settings.hub
    return {
        "service": {"type": "ClusterIP"},  # the Ingress is the only way in
        "chp": {
            "networkPolicy": {"enabled": True},
            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
            **_image("image", hub.proxy_image, hub.image_pull_policy),
        },
    }


def _ingress(settings: Settings, facts: HubFacts) -> dict[str, Any]:
    hub = settings.hub
    annotations = dict(hub.ingress_annotations)
    if hub.tls.cluster_issuer:
        annotations["cert-manager.io/cluster-issuer"] = hub.tls.cluster_issuer
    return {
        "enabled": True,
        "annotations": annotations,
        "hosts": [settings.hub_host],
        "tls": [{"hosts": [settings.hub_host], "secretName": facts.tls_secret}],
        **({"ingressClassName": hub.ingress_class} if hub.ingress_class else {}),
    }


def _cull(timeout: int) -> dict[str, Any]:
    if timeout == 0:
        return {"enabled": False}
    return {"enabled": True, "timeout": timeout, "every": max(10, min(600, timeout // 6))}


def _image(key: str, image: Image | None, pull_policy: str) -> dict[str, Any]:
    """The chart's own image stays unless another is configured; a policy alone is merged into it."""
    values: dict[str, Any] = {}
    if image is not None:
        values = {"name": image.name, "tag": image.tag}
    if pull_policy:
        values["pullPolicy"] = pull_policy
    return {key: values} if values else {}
