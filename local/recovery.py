"""What a Pulumi engine that was killed in the middle of an operation leaves, and how the next `make up` gets past it.

The engine notes each operation before it starts. A creation that was noted and never reported back may have happened:
then the object is there, the state does not know it, and making it again is refused. On this platform, which is nobody
else's, such an object is removed, so that it can be made. What holds users' data is taken over by the program anyway,
and is never removed here. On other clusters the admin decides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from keycloak.exceptions import KeycloakGetError
from kubernetes import client, dynamic
from kubernetes.client.exceptions import ApiException, NotFoundException

from local import keycloak
from local.cluster_parts import api_client
from local.credentials import Credentials
from local.engine import Stack

_KEPT = ("Namespace", "PersistentVolume", "PersistentVolumeClaim")
_RELEASE = "kubernetes:helm.sh/v3:Release"


def settle(stack: Stack, namespace: str, credentials: Credentials) -> list[str]:
    """Clear up after a killed operation; returns the names of the resources that were being made or changed.

    Raises EngineError when the state cannot be refreshed.
    """
    unfinished = stack.unfinished()
    if not unfinished:
        return []
    for operation in unfinished:
        resource = operation["resource"]
        if operation["type"] == "creating":
            _remove(resource["type"], resource.get("inputs", {}), namespace, credentials)
        elif resource["type"] == _RELEASE:
            _forget_release(resource.get("inputs", {}).get("name", ""), namespace, only_pending=True)
    stack.refresh(drop_unfinished=True)
    return [operation["resource"]["urn"].rpartition("::")[2] for operation in unfinished]


def _remove(kind: str, inputs: Mapping[str, Any], namespace: str, credentials: Credentials) -> None:
    if kind == _RELEASE:
        _forget_release(inputs.get("name", ""), namespace)
    elif kind.startswith("kubernetes:"):
        _remove_object(kind, inputs, namespace)
    elif kind.startswith("keycloak:"):
        _remove_from_realm(kind, inputs, credentials)


def _remove_object(kind: str, inputs: Mapping[str, Any], namespace: str) -> None:
    """An object of the stack's own namespace; what lies elsewhere or holds users' data stays."""
    version, _, name = kind.removeprefix("kubernetes:").rpartition(":")
    meta = inputs.get("metadata", {})
    if name in _KEPT or meta.get("namespace") != namespace or not meta.get("name"):
        return
    with contextlib.suppress(NotFoundException, dynamic.exceptions.NotFoundError):
        resource = dynamic.DynamicClient(api_client()).resources.get(
            api_version=version.removeprefix("core/"), kind=name
        )
        resource.delete(name=meta["name"], namespace=namespace)


def _forget_release(name: str, namespace: str, *, only_pending: bool = False) -> None:
    """Remove Helm's records of a release, or those that say that it is still at work: Helm refuses to go on with them.

    What the release made stays and is taken over by the next install, by the annotations that Helm put on it.
    """
    core = client.CoreV1Api(api_client())
    with contextlib.suppress(ApiException):  # no namespace: no records
        for record in core.list_namespaced_secret(namespace, label_selector=f"owner=helm,name={name}").items:
            if not only_pending or record.metadata.labels.get("status", "").startswith("pending"):
                core.delete_namespaced_secret(record.metadata.name, namespace)


def _remove_from_realm(kind: str, inputs: Mapping[str, Any], credentials: Credentials) -> None:
    """A client (with its mappers), a mapper or a group."""
    admin = keycloak.admin(credentials, inputs.get("realmId", ""))
    with contextlib.suppress(KeycloakGetError):  # no such realm or client: nothing was made in it
        if kind.endswith(":Client"):
            if found := admin.get_client_id(inputs["clientId"]):
                admin.delete_client(found)
        elif kind.endswith("ProtocolMapper"):
            for mapper in admin.get_mappers_from_client(inputs["clientId"]):
                if mapper["name"] == inputs["name"]:
                    admin.remove_client_mapper(inputs["clientId"], mapper["id"])
        elif kind.endswith(":Group"):
            parent = inputs.get("parentId")
            for group in admin.get_group_children(parent) if parent else admin.get_groups():
                if group["name"] == inputs["name"]:  # a search would name its parents too
                    admin.delete_group(group["id"])
