"""V-API: the cluster answers, and the namespace is there with its Pod Security level."""

from __future__ import annotations

import re

from admin.verify.cluster import Refused, found
from admin.verify.context import Context
from admin.verify.model import Failed, Register

check = Register()
OLDEST = (1, 28)
"""Kubernetes version that zero-to-jupyterhub 4 asks for (its Chart.yaml, kubeVersion)."""
ENFORCE = "pod-security.kubernetes.io/enforce"


@check("V-API-01", "the cluster's API answers, version 1.28 or newer")
def answers(context: Context) -> str:
    """One question that every authenticated user may ask."""
    try:
        version = context.cluster.get("/version")
    except (Refused, OSError) as error:
        raise Failed(
            f"No answer from the API server: {error}.",
            "Check KUBECONFIG, the stack's kubernetes:context, and that the cluster runs.",
        ) from error
    text = str((version or {}).get("gitVersion", "unknown"))
    numbers = re.match(r"v(\d+)\.(\d+)", text)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise Failed(f"Kubernetes is {text}, older than 1.28.", "Upgrade the cluster.", text)
    return f"Kubernetes {text}"


@check("V-API-02", "the namespace enforces its Pod Security level", "V-API-01")
def namespace(context: Context) -> str:
    """The label that keeps privileged pods out."""
    name, wanted = context.namespace, context.settings.hub.pod_security
    remedy = "Run `pulumi up --refresh`."
    labels = found(context.cluster, f"/api/v1/namespaces/{name}", f"namespace {name}", remedy)[
        "metadata"
    ].get("labels", {})
    level = labels.get(ENFORCE, "none")
    if level != wanted:
        raise Failed(
            f"Namespace {name} enforces Pod Security level {level}, not {wanted} (hub.podSecurity).",
            remedy,
            level,
        )
    return f"{name}: {level}"
