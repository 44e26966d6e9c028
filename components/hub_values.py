"""Values of the zero-to-jupyterhub chart as one pure function of settings and facts, split by chart section.

Owns what the hub, the proxy and the notebook pods look like. Leaves alone: the objects beside the release
(hub.py) and what users may pick (custom.thinkube is read by notebooks-profile/). No secret is ever a value:
Helm would keep it in clear in the release; pods read them by reference. Facts may be Outputs, at the leaves
only.

Every key is documented at https://z2jh.jupyter.org/en/stable/resources/reference.html; the chart refuses
others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.identity import OIDC_SECRET_KEY, OidcUrls, redirect_uri
from components.profiles import PACKAGE, SHIM
from components.settings.models import Image, Settings

HOME = "/home/jovyan"
NOTEBOOKS = f"{HOME}/thinkube/notebooks"
HUB_CONFIG = "/usr/local/etc/jupyterhub"
CA_FOLDER = "/etc/thinkube/ca"
CA_FILE = "ca.crt"
UID, GID = 1000, 100


@dataclass(frozen=True)
class Mount:
    """Where notebook pods see a volume."""

    path: str
    sub_path: str = ""
    read_only: bool = False


MOUNTS = {"notebooks": Mount(NOTEBOOKS, sub_path="{username}")}
"""by volume; {username} becomes kubespawner's safe slug of the user's name"""


@dataclass(frozen=True)
class HubFacts:
    """What the values need beside the settings."""

    claims: Mapping[str, pulumi.Input[str]]
    """claim names by volume"""
    pull_secret: pulumi.Input[str]
    profile_config_map: pulumi.Input[str]
    profile_files: Sequence[str]
    """keys of the hub package's files in that ConfigMap"""
    ca_config_map: pulumi.Input[str] | None
    ca_digest: str
    oidc_secret: pulumi.Input[str]
    oidc_digest: pulumi.Input[str]
    urls: OidcUrls
    catalogue: pulumi.Input[str]
    tls_secret: str
    default_image: Image
    """repository and tag of the default notebook image"""


def hub_values(settings: Settings, facts: HubFacts) -> dict[str, Any]:
    """Return the chart's values."""
    return {
        "imagePullSecrets": [{"name": facts.pull_secret}],
        "custom": {"thinkube": thinkube_values(settings, facts)},
        "hub": _hub(settings, facts),
        "proxy": _proxy(settings),
        "singleuser": _singleuser(settings, facts),
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
        _config_map("profile-package", facts.profile_config_map, facts.profile_files),
        # apart from the package: every *.py in jupyterhub_config.d is executed as configuration
        _config_map("profile-shim", facts.profile_config_map, [SHIM]),
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "profile-package", "mountPath": f"{HUB_CONFIG}/{PACKAGE}", "readOnly": True},
        {"name": "profile-shim", "mountPath": f"{HUB_CONFIG}/jupyterhub_config.d", "readOnly": True},
    ]
    if facts.ca_config_map is not None:
        volumes.append(_config_map("ca-bundle", facts.ca_config_map, [CA_FILE]))
        mounts.append({"name": "ca-bundle", "mountPath": CA_FOLDER, "readOnly": True})
    return {
        "config": {
            "JupyterHub": {
                "authenticator_class": "generic-oauth",
                # an admin manages users; opening their files and kernels is another thing
                "admin_access": False,
            },
            "GenericOAuthenticator": _authenticator(settings, facts),
            "KubeSpawner": _spawner(),
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
        "admin_groups": [identity.admin_group],
        "admin_users": [settings.admin_username],
        # groups as they are now: asked again before every start, and every five minutes while logged in
        "enable_auth_state": True,
        "refresh_pre_spawn": True,
        "auth_refresh_age": 300,
    }
    if identity.allowed_groups:
        values["allowed_groups"] = identity.allowed_groups
    else:
        values["allow_all"] = True
    if facts.ca_config_map is not None:
        # the hub's HTTP client (pycurl) does not look at SSL_CERT_FILE
        values["http_request_kwargs"] = {"ca_certs": f"{CA_FOLDER}/{CA_FILE}"}
    return values


def _spawner() -> dict[str, Any]:
    """What has no values key of its own (kubespawner 7.1), so that pods pass Pod Security `restricted`."""
    profile = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "automount_service_account_token": False,
        "gid": GID,
        "pod_security_context": {**profile, "fsGroupChangePolicy": "OnRootMismatch"},
        "container_security_context": {**profile, "capabilities": {"drop": ["ALL"]}},
        "working_dir": HOME,
        "notebook_dir": HOME,
        # home holds more than the notebooks; the file browser opens where files survive
        "args": [f"--ServerApp.preferred_dir={NOTEBOOKS}"],
        # kernels get time to save before they are killed; kubespawner's default is 1 s
        "delete_grace_period": 10,
        "http_timeout": 60,
    }


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


def _singleuser(settings: Settings, facts: HubFacts) -> dict[str, Any]:
    hub, profiles, smallest = settings.hub, settings.profiles, settings.profiles.sizes[0]
    volumes: list[dict[str, Any]] = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        for volume, claim in facts.claims.items()
    ]
    mounts = [_mount(volume) for volume in facts.claims]
    environment: dict[str, str] = {}
    if facts.ca_config_map is not None:
        volumes.append(_config_map("ca-bundle", facts.ca_config_map, [CA_FILE]))
        mounts.append({"name": "ca-bundle", "mountPath": CA_FOLDER, "readOnly": True})
        environment["THINKUBE_CA_BUNDLE"] = f"{CA_FOLDER}/{CA_FILE}"
    # The hub's code sets the image of every server, from the catalogue. Only a pre-puller needs it here:
    # with the tag among the values each new image would restart the hub, and a tag that is nowhere cannot
    # start by mistake.
    tag = facts.default_image.tag if hub.pre_puller else "set-by-the-hub"
    return {
        "image": {
            "name": facts.default_image.name,
            "tag": tag,
            **({"pullPolicy": hub.image_pull_policy} if hub.image_pull_policy else {}),
        },
        "cmd": "jupyterhub-singleuser",
        "defaultUrl": "/lab",
        "startTimeout": hub.start_timeout_seconds,
        "uid": UID,
        "fsGid": GID,
        "allowPrivilegeEscalation": False,
        # network policies keep pods from the cloud's metadata; the alternative is a privileged init container
        "cloudMetadata": {"blockWithIptables": False},
        "networkPolicy": {"enabled": True},
        # bounds that hold even if the hub's code would set none
        "cpu": {"limit": smallest.cpu, "guarantee": smallest.cpu * profiles.cpu_guarantee_fraction},
        "memory": {
            "limit": f"{smallest.memory_gb:g}G",
            "guarantee": f"{smallest.memory_gb * profiles.memory_guarantee_fraction:g}G",
        },
        "storage": {
            "type": "none",  # nothing is mounted on home: it holds the image's own files
            "extraVolumes": volumes,
            "extraVolumeMounts": mounts,
        },
        "extraEnv": environment,
        "extraPodConfig": {"enableServiceLinks": False},
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


def _mount(volume: str) -> dict[str, Any]:
    mount = MOUNTS[volume]
    return {
        "name": volume,
        "mountPath": mount.path,
        **({"subPath": mount.sub_path} if mount.sub_path else {}),
        **({"readOnly": True} if mount.read_only else {}),
    }


def _config_map(name: str, config_map: pulumi.Input[str], keys: Sequence[str]) -> dict[str, Any]:
    items = [{"key": key, "path": key} for key in sorted(keys)]
    return {"name": name, "configMap": {"name": config_map, "items": items}}


def _image(key: str, image: Image | None, pull_policy: str) -> dict[str, Any]:
    """The chart's own image stays unless another is configured; a policy alone is merged into it."""
    values: dict[str, Any] = {}
    if image is not None:
        values = {"name": image.name, "tag": image.tag}
    if pull_policy:
        values["pullPolicy"] = pull_policy
    return {key: values} if values else {}
