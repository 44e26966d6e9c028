"""The call that makes thinkube-control read the image catalogue: a Kubernetes Job, since its address is the
cluster's.

Owns the Job, the script in it and the Secret with the token. Leaves alone: what is synced.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import Secret

from components import cluster
from components.pods import job_pod

# A failed Job stays failed: without this the next `up` would wait for the same one again, and fail again.
REPLACE_UNREADY = {"pulumi.com/replaceUnready": "true"}

# Runs in the default notebook image: it is in the registry anyway, and its pull warms a node. Standard
# library only.
SCRIPT = """\
import json, os, sys, time, urllib.error, urllib.request

url = os.environ["CONTROL_URL"] + "/harbor/images/sync"
reason = ""
for attempt in range(8):
    request = urllib.request.Request(
        url, data=b"", method="POST", headers={"Authorization": "Bearer " + os.environ["CONTROL_TOKEN"]}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            print("thinkube-control has read the image catalogue:", json.dumps(json.load(answer))[:2000])
            sys.exit(0)
    except urllib.error.HTTPError as error:
        reason = "HTTP %d %s" % (error.code, error.reason)
        if error.code in (401, 403):
            sys.exit("thinkube-control refused the token (%s): check thinkube_control_token" % reason)
        if error.code == 404:
            sys.exit("%s is not there (%s): check the config key control.url" % (url, reason))
    except (OSError, ValueError) as error:
        reason = str(error)
    print("attempt %d: %s: %s" % (attempt + 1, url, reason), flush=True)
    time.sleep(min(2**attempt, 15))
sys.exit("no answer from thinkube-control at %s (%s): see that it runs, or set control.url" % (url, reason))
"""


@dataclass(frozen=True)
class ControlSyncArgs:
    """Inputs of control_sync."""

    cluster: cluster.Cluster
    namespace: pulumi.Output[str]
    pull_secret: pulumi.Output[str]
    image: pulumi.Output[str]
    """image with a `python3`, by digest"""
    url: str
    """base URL of thinkube-control's API, without trailing slash"""
    token: pulumi.Output[str]
    catalogue: pulumi.Output[str]
    """what is to be read: a change makes a new Job"""


def control_sync(name: str, args: ControlSyncArgs, parent: pulumi.Resource, after: pulumi.Resource) -> Job:
    """Make the Secret and the Job; the update waits for the Job, and fails with it. The next update makes a new one.

    The Job has no `ttlSecondsAfterFinished`: once it is gone, the next `up` would run it again.
    """
    secret = Secret(
        f"{name}-token",
        metadata={"namespace": args.namespace},
        data={"token": args.token.apply(lambda token: base64.b64encode(token.encode()).decode())},
        opts=cluster.own(parent, args.cluster),
    )
    fingerprint = args.catalogue.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
    spec: Any = {
        "backoffLimit": 1,
        "activeDeadlineSeconds": 300,
        "template": {
            "metadata": {
                "labels": {"app.kubernetes.io/name": "image-sync"},
                "annotations": {"thinkube.io/catalogue-digest": fingerprint},
            },
            "spec": job_pod(
                args.pull_secret,
                {
                    "name": "sync",
                    "image": args.image,
                    "command": ["python3", "-c", SCRIPT],
                    "env": [
                        {"name": "CONTROL_URL", "value": args.url},
                        {
                            "name": "CONTROL_TOKEN",
                            "valueFrom": {"secretKeyRef": {"name": secret.metadata.name, "key": "token"}},
                        },
                    ],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                },
            ),
        },
    }
    return Job(
        name,
        metadata={"namespace": args.namespace, "annotations": REPLACE_UNREADY},
        spec=spec,
        opts=cluster.own(parent, args.cluster, depends_on=[after]),
    )
