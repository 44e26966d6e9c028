"""V-STORAGE: what makes volumes is there, and every claim has its volume."""

from __future__ import annotations

from admin.verify.cluster import found, namespaced
from admin.verify.context import Context
from admin.verify.model import Failed, Register, Skipped, Warned
from components.storage import CSI_DRIVER

check = Register()
STORAGE = "/apis/storage.k8s.io/v1"
HUB_CLAIM = "hub-db-dir"
"""the chart's name for the claim of the hub's database"""


@check("V-STORAGE-01", "the CSI driver or StorageClass of the volumes is there", "V-API-01")
def backend(context: Context) -> str:
    """By `storage.backend`."""
    storage = context.settings.storage
    if storage.backend == "hostPath":
        raise Skipped(
            "storage.backend is hostPath: no driver and no class; V-STORAGE-02 looks at the volumes."
        )
    if storage.backend == "storageClass":
        found(
            context.cluster,
            f"{STORAGE}/storageclasses/{storage.storage_class}",
            f"StorageClass {storage.storage_class} (storage.storageClass)",
            "Make it, or set storage.storageClass to one that `kubectl get storageclass` lists.",
        )
        return f"StorageClass {storage.storage_class}"
    remedy = "Install seaweedfs-csi-driver, or set storage.backend."
    found(context.cluster, f"{STORAGE}/csidrivers/{CSI_DRIVER}", f"CSIDriver {CSI_DRIVER}", remedy)
    nodes = found(context.cluster, f"{STORAGE}/csinodes", "list of CSINodes", remedy)["items"]
    without = [
        node["metadata"]["name"]
        for node in nodes
        if CSI_DRIVER not in [driver["name"] for driver in node.get("spec", {}).get("drivers") or []]
    ]
    mends = "See that the driver's DaemonSet has a ready pod on each node."
    if nodes and len(without) == len(nodes):
        raise Failed(f"CSIDriver {CSI_DRIVER} is registered on no node.", mends)
    if without:
        raise Warned(f"CSIDriver {CSI_DRIVER} is missing on {', '.join(sorted(without)[:5])}.", mends)
    return f"CSIDriver {CSI_DRIVER} on {len(nodes)} nodes"


@check("V-STORAGE-02", "every claim is bound", "V-API-02")
def claims(context: Context) -> str:
    """The claims that the stack's output names."""
    names = sorted(context.outputs.get("claims", {}).values())
    if not names:
        raise Failed("The stack's outputs name no claims.", "Run `pulumi up`.")
    faults = [fault for name in names if (fault := _fault(context, name))]
    if faults:
        raise Failed(
            " ".join(faults),
            "Look at the claim's events (`kubectl describe pvc`); a claim that is gone: `pulumi up --refresh`.",
            f"{len(names) - len(faults)} of {len(names)} bound",
        )
    return ", ".join(names)


@check("V-STORAGE-03", "the hub's database has its volume", "V-API-02")
def database(context: Context) -> str:
    """The chart's own claim."""
    if fault := _fault(context, HUB_CLAIM):
        raise Failed(
            fault,
            "Set storage.hubDatabase.storageClass to a class with ReadWriteOnce volumes, then `pulumi up`.",
        )
    return HUB_CLAIM


def _fault(context: Context, name: str) -> str:
    """Why a claim is of no use; "" if it is bound to a volume that is there."""
    path = namespaced(context.namespace, "persistentvolumeclaims", name)
    try:
        claim = found(context.cluster, path, f"claim {name}", "")
    except Failed as fault:
        return fault.reason
    phase = claim.get("status", {}).get("phase", "unknown")
    return "" if phase == "Bound" else f"Claim {name} is {phase}, not Bound."
