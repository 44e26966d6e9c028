"""The default StorageClass's provisioner: a folder on the node's disk for each claim that asks for one.

A process of its own (``python -m local.provisioner``) in the place that local-path-provisioner has on small
clusters. It makes a host-path PersistentVolume for every pending claim of the class and removes volume and folder
once the claim is gone (reclaim policy Delete, as the class says).
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from local.cluster_parts import PROVISIONER, STORAGE_CLASS, api_client
from local.daemons import Daemon
from local.paths import REPO, STATE

ROOT = STATE / "local-path"
HEARTBEAT = STATE / "provisioner.alive"
_OWNER = 1000  # fsGroup is not applied to host paths: the folder must belong to who writes, and that is the hub (1000)
log = logging.getLogger("provisioner")


def daemon() -> Daemon:
    def beats() -> bool:
        return time.time() - HEARTBEAT.stat().st_mtime < 15

    return Daemon(
        "provisioner",
        [sys.executable, "-m", "local.provisioner"],
        healthy=beats,
        env={"PYTHONPATH": str(REPO)},
    )


def volume_for(claim: Any, root: Path = ROOT) -> dict[str, Any]:
    """The PersistentVolume manifest for a claim, bound to exactly that claim (name and uid)."""
    name = f"pvc-{claim.metadata.uid}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "accessModes": claim.spec.access_modes,
            "capacity": {"storage": claim.spec.resources.requests["storage"]},
            # the controller deletes nothing on a class it does not know: this process does
            "persistentVolumeReclaimPolicy": "Delete",
            "hostPath": {"path": str(root / name), "type": "Directory"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": claim.metadata.name,
                "namespace": claim.metadata.namespace,
                "uid": claim.metadata.uid,
            },
        },
    }


def reconcile(core: client.CoreV1Api, root: Path = ROOT) -> None:
    """One round: volumes for claims without one, removal of volumes whose claim is gone."""
    for claim in core.list_persistent_volume_claim_for_all_namespaces().items:
        if claim.spec.storage_class_name == STORAGE_CLASS and not claim.spec.volume_name:
            volume = volume_for(claim, root)
            folder = Path(volume["spec"]["hostPath"]["path"])
            root.mkdir(parents=True, exist_ok=True)
            root.chmod(0o700)  # what lies in it is owned by 1000, who on the machine may be a person
            folder.mkdir(exist_ok=True, mode=0o770)
            os.chown(folder, _OWNER, _OWNER)
            try:
                core.create_persistent_volume(volume)
                log.info("made %s for %s/%s", folder.name, claim.metadata.namespace, claim.metadata.name)
            except ApiException as answer:
                if answer.status != 409:  # made in the round before and not bound yet
                    raise
    for volume in core.list_persistent_volume().items:
        ours = (volume.metadata.annotations or {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER
        if ours and volume.status.phase in ("Released", "Failed"):
            shutil.rmtree(root / volume.metadata.name, ignore_errors=True)
            core.delete_persistent_volume(volume.metadata.name)
            log.info("removed %s", volume.metadata.name)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    core = client.CoreV1Api(api_client())
    while True:
        try:
            reconcile(core)
            HEARTBEAT.touch()
        except Exception as failure:  # the API server may be away for a while: try again, say so
            log.warning("%s: %s", type(failure).__name__, failure)
        time.sleep(1)


if __name__ == "__main__":
    main()
