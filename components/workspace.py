"""The namespace that everything lives in, and the Secret that images are pulled with.

Owns the namespace's Pod Security labels. Leaves alone: what runs in the namespace.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import Namespace, Secret

from components import cluster

PULL_SECRET = "harbor-pull"  # noqa: S105 (a name, not a secret)


@dataclass(frozen=True)
class WorkspaceArgs:
    """Inputs of Workspace."""

    cluster: cluster.Cluster
    namespace: str
    create_namespace: bool
    """false: it is there already and is not touched"""
    pod_security: str
    """Pod Security level that is enforced: restricted or baseline"""
    registry: str
    registry_username: str
    registry_password: pulumi.Output[str]


def docker_config(registry: str, username: str, password: str) -> str:
    """Return the content of a `.dockerconfigjson`, base64-encoded as Secret.data wants it."""
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    entry = {"username": username, "password": password, "auth": auth}
    return base64.b64encode(json.dumps({"auths": {registry: entry}}, sort_keys=True).encode()).decode()


class Workspace(pulumi.ComponentResource):
    """Namespace with Pod Security labels (kept on destroy) and image pull Secret."""

    namespace: pulumi.Output[str]
    """name; depends on the namespace being there"""
    pull_secret: pulumi.Output[str]
    """name of the image pull Secret"""

    def __init__(self, name: str, args: WorkspaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the namespace (or take it over) and the Secret."""
        super().__init__("thinkube:workspace:Workspace", name, None, opts)
        self.namespace = self._namespace(name, args)
        pull_secret = Secret(
            f"{name}-pull",
            metadata={"name": PULL_SECRET, "namespace": self.namespace},
            type="kubernetes.io/dockerconfigjson",
            data={
                ".dockerconfigjson": args.registry_password.apply(
                    lambda password: docker_config(args.registry, args.registry_username, password)
                )
            },
            opts=cluster.own(self, args.cluster),
        )
        self.pull_secret = pull_secret.metadata.name
        self.register_outputs({"namespace": self.namespace, "pull_secret": self.pull_secret})

    def _namespace(self, name: str, args: WorkspaceArgs) -> pulumi.Output[str]:
        if not args.create_namespace:
            # read in preview, which fails if it is not there
            return Namespace.get(
                f"{name}-existing-namespace",
                args.namespace,
                opts=pulumi.ResourceOptions(parent=self, provider=args.cluster.own),
            ).id
        namespace = Namespace(
            f"{name}-namespace",
            metadata={
                "name": args.namespace,
                "labels": {
                    "app.kubernetes.io/part-of": "thinkube-jupyterhub",
                    "pod-security.kubernetes.io/enforce": args.pod_security,
                    # what the enforced level lets pass is still told to whoever deploys it
                    "pod-security.kubernetes.io/warn": "restricted",
                    "pod-security.kubernetes.io/audit": "restricted",
                },
            },
            opts=cluster.kept(self, args.cluster),
        )
        return namespace.metadata.name
