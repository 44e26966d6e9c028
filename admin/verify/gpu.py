"""V-GPU: which nodes offer GPUs to pods."""

from __future__ import annotations

import json

from admin.verify.cluster import Refused, found, namespaced
from admin.verify.context import Context
from admin.verify.model import Register, Warned
from components.images import CATALOGUE

check = Register()
GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-"
"""a slice of a GPU: nvidia.com/mig-1g.5gb and so on (NVIDIA device plugin, MIG strategy `mixed`)"""


@check("V-GPU-01", "GPU nodes are visible, if there are any", "V-API-01")
def nodes(context: Context) -> str:
    """What the nodes' device plugins have registered, and whether anything is asked for that is not there."""
    listed = found(context.cluster, "/api/v1/nodes", "list of nodes", "")["items"]
    seen = []
    broken = []
    for node in listed:
        name = node["metadata"]["name"]
        status = node.get("status") or {}
        for resource, amount in sorted((status.get("capacity") or {}).items()):
            if (resource == GPU or resource.startswith(MIG)) and amount != "0":
                usable = (status.get("allocatable") or {}).get(resource, "0")
                seen.append(f"{name}: {usable} {resource}")
                if usable != amount:
                    broken.append(f"{name} offers {usable} of {amount} {resource}")
    text = ", ".join(seen) or "none"
    if broken:
        raise Warned(
            f"GPUs that cannot be used: {'; '.join(broken)}.",
            "See the log of the device plugin on that node.",
            text,
        )
    if not seen and (wanted := wants_gpu(context)):
        raise Warned(
            f"{wanted} needs a GPU, and no node offers one.",
            "See that the NVIDIA device plugin runs on the GPU nodes.",
            text,
        )
    return text


def wants_gpu(context: Context) -> str:
    """Images of the catalogue that need a GPU, as a subject of a sentence; "" if none does."""
    try:
        catalogue = context.cluster.get(namespaced(context.namespace, "configmaps", CATALOGUE)) or {}
        images = json.loads(catalogue["data"]["manifest.json"])["images"]
        names = [image["name"] for image in images if image["metadata"].get("gpu_required")]
    except (Refused, OSError, KeyError, TypeError, ValueError):
        return ""  # V-IMAGES-02 says what is wrong with it
    return f"Image {', '.join(names)}" if names else ""
