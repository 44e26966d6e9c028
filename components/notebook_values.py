"""Values of the chart that shape notebook pods, and the facts that all values are made from.

Owns the pods' user, home, mounts, limits and hardening. Leaves alone: hub, proxy and Ingress (hub_values.py). No
secret is ever a value. Pure, as hub_values.py is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.identity import OidcUrls
from components.settings.models import Image, Settings

HOME = "/home/jovyan"
NOTEBOOKS = f"{HOME}/thinkube/notebooks"
SCRATCH = f"{HOME}/scratch"
ENVIRONMENT_FILE = ".thinkube_env"  # key of the Secret and name of the file
CA_FOLDER = "/etc/thinkube/ca"
CA_FILE = "ca.crt"
UID, GID = 1000, 100


@dataclass(frozen=True)
class Mount:
    """Where notebook pods see a volume."""

    path: str
    sub_path: str = ""
    read_only: bool = False


MOUNTS = {
    "notebooks": Mount(NOTEBOOKS, sub_path="{username}"),
    "datasets": Mount(f"{HOME}/thinkube/datasets"),
    "models": Mount(f"{HOME}/thinkube/models"),
    # beside the notebooks, not in them: they are the user's own, and the link in them leads here
    "examples": Mount(f"{HOME}/thinkube/examples-repo", read_only=True),
}
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


def singleuser(settings: Settings, facts: HubFacts) -> dict[str, Any]:
    """Return the section `singleuser`."""
    hub, profiles, smallest = settings.hub, settings.profiles, settings.profiles.sizes[0]
    volumes: list[dict[str, Any]] = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        for volume, claim in facts.claims.items()
    ]
    mounts = [_mount(volume) for volume in facts.claims]
    # on the node's own disk, gone with the pod; the kubelet evicts a pod that exceeds the limit
    volumes.append({"name": "scratch", "emptyDir": {"sizeLimit": hub.scratch_size}})
    mounts.append({"name": "scratch", "mountPath": SCRATCH})
    if hub.environment_secret:
        volumes.append(_environment_volume(hub.environment_secret))
        mounts.append(
            {
                "name": "environment",
                "mountPath": f"{HOME}/{ENVIRONMENT_FILE}",
                "subPath": ENVIRONMENT_FILE,
                "readOnly": True,
            }
        )
    environment: dict[str, str] = {}
    if facts.ca_config_map is not None:
        volumes.append(config_map_volume("ca-bundle", facts.ca_config_map, [CA_FILE]))
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


def spawner() -> dict[str, Any]:
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


def _mount(volume: str) -> dict[str, Any]:
    mount = MOUNTS[volume]
    return {
        "name": volume,
        "mountPath": mount.path,
        **({"subPath": mount.sub_path} if mount.sub_path else {}),
        **({"readOnly": True} if mount.read_only else {}),
    }


def _environment_volume(secret: str) -> dict[str, Any]:
    """A volume of the Secret's one key. It stays when the Secret changes: a mount of a single file is not renewed."""
    items = [{"key": ENVIRONMENT_FILE, "path": ENVIRONMENT_FILE}]
    # 0440: readable by the pod's group (fsGid), nobody else
    return {"name": "environment", "secret": {"secretName": secret, "items": items, "defaultMode": 0o440}}


def config_map_volume(name: str, config_map: pulumi.Input[str], keys: Sequence[str]) -> dict[str, Any]:
    """A volume of some keys of a ConfigMap."""
    items = [{"key": key, "path": key} for key in sorted(keys)]
    return {"name": name, "configMap": {"name": config_map, "items": items}}
