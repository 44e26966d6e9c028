"""How the components reach Kubernetes: two providers and the resource options that go with them.

Owns which objects are adopted and kept, and which are simply ours. Leaves alone: what the objects are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes


@dataclass(frozen=True)
class Cluster:
    """Two roads to the same cluster."""

    own: kubernetes.Provider
    """for what this program makes anew: an object that is there already is an error"""
    kept: kubernetes.Provider
    """for what holds users' data: taken over when it is there already"""


def connect(name: str) -> Cluster:
    """Make both providers for the cluster of the stack's `kubernetes:` keys, else of the current kubeconfig.

    The engine hands those keys to the default provider only; without them here, a stack that names its
    context would be deployed to whatever context is current.
    """
    config = pulumi.Config("kubernetes")
    context, cluster = config.get("context"), config.get("cluster")
    kubeconfig = config.get_secret("kubeconfig")
    if kubeconfig is None and os.pathsep in os.environ.get("KUBECONFIG", ""):
        # The SDK would hand over several files as the path of one; with "" the provider reads the variable itself.
        kubeconfig = pulumi.Output.from_input("")
    own = kubernetes.Provider(
        name,
        context=context,
        cluster=cluster,
        kubeconfig=kubeconfig,
        # With fixed names, replacing means deleting first: for a moment readers would find nothing. A
        # ConfigMap that is to be replaced is marked immutable instead.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
        # What was changed by hand belongs to that hand's field manager; without this, the update that is to
        # mend it ends in a conflict.
        enable_patch_force=True,
    )
    kept = kubernetes.Provider(
        f"{name}-kept",
        context=context,
        cluster=cluster,
        kubeconfig=kubeconfig,
        upsert_existing_objects=True,
        # The provider's field manager has a new name in each life of the stack: what is taken over from an
        # earlier one would conflict as soon as a field changes (a claim's uid in its volume, for one).
        enable_patch_force=True,
    )
    return Cluster(own, kept)


def own(
    parent: pulumi.Resource, cluster: Cluster, depends_on: Sequence[pulumi.Resource] = ()
) -> pulumi.ResourceOptions:
    """Options of an object that belongs to the stack: made, changed and deleted with it."""
    return pulumi.ResourceOptions(parent=parent, provider=cluster.own, depends_on=list(depends_on))


def kept(
    parent: pulumi.Resource,
    cluster: Cluster,
    depends_on: Sequence[pulumi.Resource] = (),
    ignore_changes: Sequence[str] = (),
) -> pulumi.ResourceOptions:
    """Options of an object that users' data hangs on: survives `destroy`, and the next `up` takes it over
    again.

    Not `protect`: a single protected resource makes the whole `pulumi destroy` fail, and with it a rollback.
    """
    return pulumi.ResourceOptions(
        parent=parent,
        provider=cluster.kept,
        depends_on=list(depends_on),
        ignore_changes=list(ignore_changes),
        retain_on_delete=True,
    )
