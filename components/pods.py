"""How the pods of the program's own Jobs run: once, as the notebooks' user, with no right that they do not need.

Owns what these pods have in common. Leaves alone: users' pods (notebook_values.py) and the chart's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.notebook_values import GID, UID


def job_pod(
    pull_secret: pulumi.Input[str],
    container: Mapping[str, Any],
    security: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return the spec of a pod with one container, fit for Pod Security's level `restricted`.

    `security` is added to the pod's security context, `more` to its spec.
    """
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "imagePullSecrets": [{"name": pull_secret}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": GID,
            "seccompProfile": {"type": "RuntimeDefault"},
            **(security or {}),
        },
        "containers": [
            {
                **container,
                # the script's own sentence, when it fails, is what the update and `kubectl describe pod` show
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        **more,
    }
