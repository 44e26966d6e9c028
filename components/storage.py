"""The volumes that notebooks share: persistent volumes and the claims that bind them.

Owns names, sizes, reclaim policy and binding. Leaves alone: the storage service itself, and what mounts
where.

A static pair is made claim first: the volume then names its claim by uid. So a volume that an earlier claim
left `Released` (the claim or the whole namespace was deleted by hand) is bound again by the next update,
files and all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import PersistentVolume, PersistentVolumeClaim

from components import cluster
from components.settings.models import Storage, Volume

CSI_DRIVER = "seaweedfs-csi-driver"
# Kubelet makes per-user subfolders as root. With root of the filer shown as 1000:100 in the mount, user
# jovyan can write there (local:filer; volume attributes of
# https://github.com/seaweedfs/seaweedfs-csi-driver).
ID_MAP = {"uidMap": "1000:0", "gidMap": "100:0"}
# The provider would wait for a claim that nothing can bind before its volume is there.
SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}


@dataclass(frozen=True)
class SeaweedVolumesArgs:
    """Inputs of SeaweedVolumes."""

    cluster: cluster.Cluster
    namespace: pulumi.Output[str]
    stack: str
    storage: Storage


def claim_name(volume: str) -> str:
    """Name of a volume's claim, which users and tools know."""
    return "jupyterhub-examples-pvc" if volume == "examples" else f"jupyter-{volume}-pvc"


def volume_name(stack: str, volume: str) -> str:
    """Name of a volume: cluster-wide, so it carries the stack."""
    return f"jupyter-{stack}-{volume}"


def volume_table(storage: Storage) -> dict[str, Volume]:
    """The volumes of the settings, by name."""
    return {name: getattr(storage.volumes, name) for name in type(storage.volumes).model_fields}


def volume_source(storage: Storage, stack: str, volume: str) -> dict[str, Any]:
    """The part of a static PersistentVolume's spec that says where the files are."""
    if storage.backend == "hostPath":
        # Directory: a mount point that is missing must be an error, not a new folder on the node's own disk
        return {"hostPath": {"path": f"{storage.host_path_root}/{volume}", "type": "Directory"}}
    root = storage.filer_path or f"/jupyterhub/{stack}"
    return {
        "csi": {
            "driver": CSI_DRIVER,
            "volumeHandle": volume_name(stack, volume),
            "volumeAttributes": {
                "collection": storage.collection,
                "replication": storage.replication,
                "path": f"{root}/{volume}",
                **ID_MAP,
            },
        }
    }


class SeaweedVolumes(pulumi.ComponentResource):
    """Claims of the shared volumes and, unless a StorageClass makes them, the volumes. Kept on destroy.

    A claim that somebody else made is only looked up: preview and update fail where it is missing.
    """

    claims: Mapping[str, pulumi.Output[str]]
    """claim names by volume"""

    def __init__(
        self, name: str, args: SeaweedVolumesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Make (or take over) the claim of each volume, and its static volume."""
        super().__init__("thinkube:storage:SeaweedVolumes", name, None, opts)
        claims = {
            volume: self._existing(name, args, volume, spec.existing_claim)
            if spec.existing_claim
            else self._pair(name, args, volume, spec)
            for volume, spec in volume_table(args.storage).items()
        }
        self.claims = claims
        self.register_outputs({"claims": claims})

    def _existing(self, name: str, args: SeaweedVolumesArgs, volume: str, claim: str) -> pulumi.Output[str]:
        found = PersistentVolumeClaim.get(
            f"{name}-{volume}-existing",
            pulumi.Output.concat(args.namespace, "/", claim),
            opts=cluster.own(self, args.cluster),
        )
        there: pulumi.Output[str] = found.metadata.name
        return there

    def _pair(self, name: str, args: SeaweedVolumesArgs, volume: str, spec: Volume) -> pulumi.Output[str]:
        storage = args.storage
        static = storage.backend != "storageClass"
        labels = {"thinkube.io/stack": args.stack, "thinkube.io/volume": volume}
        claim_spec: Any = {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": spec.size}},
            # "" is not the default class: it asks for a volume that is there
            "storageClassName": "" if static else storage.storage_class,
        }
        if static:
            claim_spec["selector"] = {"matchLabels": labels}
        claim = PersistentVolumeClaim(
            f"{name}-{volume}-claim",
            metadata={
                "name": claim_name(volume),
                "namespace": args.namespace,
                "labels": labels,
                "annotations": SKIP_AWAIT,
            },
            spec=claim_spec,
            # Kubernetes resizes dynamic claims only: a new size would fail the update, and preview would not say so.
            opts=cluster.kept(self, args.cluster, ignore_changes=["spec.resources"] if static else ()),
        )
        if static:
            volume_spec: Any = {
                "accessModes": ["ReadWriteMany"],
                "capacity": {"storage": spec.size},
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "volumeMode": "Filesystem",
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "name": claim_name(volume),
                    "namespace": args.namespace,
                    "uid": claim.metadata.uid,
                },
                **volume_source(storage, args.stack, volume),
            }
            PersistentVolume(
                f"{name}-{volume}",
                metadata={"name": volume_name(args.stack, volume), "labels": labels},
                spec=volume_spec,
                opts=cluster.kept(self, args.cluster),
            )
        bound: pulumi.Output[str] = claim.metadata.name
        return bound
