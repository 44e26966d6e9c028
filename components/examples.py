"""The examples that users see read-only: a first sync that the update waits for, and a daily one.

Owns the Job, the CronJob, the ConfigMap with script and settings, the Secret with the token and the pods' network
policy. Leaves alone: the volume (storage.py), where notebooks see it (notebook_values.py), and how a repository is
fetched (examples-sync/).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pulumi
from pulumi_kubernetes.batch.v1 import CronJob, Job
from pulumi_kubernetes.core.v1 import ConfigMap, Secret
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components import cluster
from components.control_sync import REPLACE_UNREADY
from components.identity import digest
from components.notebook_values import GID
from components.pods import job_pod
from components.settings.models import Examples

JOB = "clone-thinkube-ai-examples"
CRON_JOB = "thinkube-ai-examples-sync"
SCRIPT = "examples_sync.py"
SCRIPTS = (SCRIPT, "sync_git.py", "sync_volume.py")
CODE, ROOT = "/etc/thinkube/examples-sync", "/examples"
LABELS = {"app.kubernetes.io/name": "examples-sync", "app.kubernetes.io/part-of": "thinkube-jupyterhub"}
START_SECONDS = 300  # for the image's pull and the volume's mount, before the first fetch


@dataclass(frozen=True)
class ExamplesSyncArgs:
    """Inputs of ExamplesSync."""

    cluster: cluster.Cluster
    namespace: pulumi.Output[str]
    claim: pulumi.Output[str]
    """claim of the examples' volume"""
    examples: Examples
    ca_bundle: str
    """PEM; "" where the git servers' certificates are public"""
    token: pulumi.Output[str] | None
    image: pulumi.Output[str]
    """image with git and python3, by digest, unless the settings name one"""
    pull_secret: pulumi.Output[str]
    folder: Path
    """examples-sync/"""


def script_settings(examples: Examples) -> str:
    """Return what the script reads, as JSON."""
    repositories = [
        {
            "url": repository.url,
            "folder": repository.folder,
            "ref": repository.ref,
            "private": repository.private,
            "username": repository.username,
        }
        for repository in examples.repositories
    ]
    return json.dumps({"repositories": repositories, "timeoutSeconds": examples.timeout_seconds}, indent=2)


def egress_ports(examples: Examples) -> list[int]:
    """Return the ports of the git servers, as pods meet them.

    8443 too: an ingress controller of the same cluster often listens there behind its Service's 443 (Traefik does),
    and a policy sees the port behind the Service.
    """
    return sorted({8443, *(urlsplit(repository.url).port or 443 for repository in examples.repositories)})


class ExamplesSync(pulumi.ComponentResource):
    """First sync (a Job that is awaited) and daily one (a CronJob) of the examples' repositories."""

    claim: pulumi.Output[str]

    def __init__(self, name: str, args: ExamplesSyncArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make script, token, policy, CronJob and Job; nothing where no repository is configured.

        The Job has no `ttlSecondsAfterFinished`: once it is gone, the next `up` would run it again.
        """
        super().__init__("thinkube:examples:ExamplesSync", name, None, opts)
        self.claim = args.claim
        if args.examples.repositories:
            self._make(name, args)
        self.register_outputs({"claim": self.claim})

    def _make(self, name: str, args: ExamplesSyncArgs) -> None:
        # autonamed and immutable: a change makes a new one, and pods that run keep what they started with
        code = ConfigMap(
            f"{name}-code",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            data={
                **{name: (args.folder / name).read_text(encoding="utf-8") for name in SCRIPTS},
                "settings.json": script_settings(args.examples),
                **({"ca.crt": args.ca_bundle} if args.ca_bundle else {}),
            },
            opts=cluster.own(self, args.cluster),
        )
        secret: Secret | None = None
        if args.token is not None:
            encoded = args.token.apply(lambda token: base64.b64encode(token.encode()).decode())
            secret = Secret(
                f"{name}-token",
                metadata={"namespace": args.namespace, "labels": LABELS},
                data={"token": encoded},
                opts=cluster.own(self, args.cluster),
            )
        policy = self._policy(name, args)
        daily: Any = {
            "schedule": args.examples.schedule,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {"labels": LABELS},
                "spec": self._job(args, "daily", code, secret),
            },
        }
        CronJob(
            f"{name}-daily",
            metadata={"name": CRON_JOB, "namespace": args.namespace, "labels": LABELS},
            spec=daily,
            opts=cluster.own(self, args.cluster, depends_on=[policy]),
        )
        deadline = self._deadline(args.examples)
        Job(
            f"{name}-first",
            metadata={
                "name": JOB,
                "namespace": args.namespace,
                "labels": LABELS,
                "annotations": REPLACE_UNREADY,
            },
            spec=self._job(args, "first", code, secret),
            opts=pulumi.ResourceOptions.merge(
                cluster.own(self, args.cluster, depends_on=[policy]),
                # longer than the Job itself: its own end says why
                pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create=f"{deadline + 60}s")),
            ),
        )

    @staticmethod
    def _deadline(examples: Examples) -> int:
        """Seconds that a Job may take."""
        return START_SECONDS + examples.timeout_seconds * len(examples.repositories)

    def _policy(self, name: str, args: ExamplesSyncArgs) -> NetworkPolicy:
        """Nobody comes in; out to names and git servers only."""
        ports = [{"port": port, "protocol": "TCP"} for port in egress_ports(args.examples)]
        names = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
        spec: Any = {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [{"ports": names}, {"ports": ports}],
        }
        return NetworkPolicy(
            f"{name}-network",
            metadata={"namespace": args.namespace, "labels": LABELS},
            spec=spec,
            opts=cluster.own(self, args.cluster),
        )

    def _job(self, args: ExamplesSyncArgs, mode: str, code: ConfigMap, secret: Secret | None) -> Any:
        """Spec of a Job, with the script's mode."""
        annotations: dict[str, Any] = {}
        environment: list[Any] = []
        if secret is not None and args.token is not None:
            # the first sync runs again with a new token: a wrong one is told by the update, not at night
            annotations["thinkube.io/token-digest"] = pulumi.Output.unsecret(args.token.apply(digest))
            reference = {"name": secret.metadata.name, "key": "token"}
            environment.append({"name": "EXAMPLES_TOKEN", "valueFrom": {"secretKeyRef": reference}})
        return {
            # the script tries again by itself; a pod that a node's end took along does not count
            "backoffLimit": 0,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
                ]
            },
            "activeDeadlineSeconds": self._deadline(args.examples),
            "template": {
                "metadata": {"labels": LABELS, **({"annotations": annotations} if annotations else {})},
                "spec": job_pod(
                    args.pull_secret,
                    {
                        "name": "sync",
                        "image": args.examples.image or args.image,
                        "command": ["python3", f"{CODE}/{SCRIPT}", f"{CODE}/settings.json", ROOT, mode],
                        **({"env": environment} if environment else {}),
                        "resources": {
                            "requests": {"cpu": "50m", "memory": "64Mi"},
                            "limits": {"cpu": "1", "memory": "512Mi"},
                        },
                        "volumeMounts": [
                            {"name": "code", "mountPath": CODE, "readOnly": True},
                            {"name": "examples", "mountPath": ROOT},
                            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (the pod's own)
                        ],
                    },
                    security={"fsGroup": GID, "fsGroupChangePolicy": "OnRootMismatch"},
                    volumes=[
                        {"name": "code", "configMap": {"name": code.metadata.name}},
                        {"name": "examples", "persistentVolumeClaim": {"claimName": args.claim}},
                        {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},
                    ],
                ),
            },
        }
