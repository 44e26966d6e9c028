"""A platform that somebody set up by hand: the program uses what is there, changes none of it, and leaves it there."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from keycloak import KeycloakAdmin
from kubernetes import client

from local import cluster_parts, keycloak, stack
from local import credentials as credential_store
from local.cluster_parts import api_client
from local.credentials import ADMIN_USER
from local.engine import EngineError, Stack
from local.paths import DATA
from local.platform import TEST, Tenant
from tests.conftest import Platform
from tests.operations import run_documented
from tests.platform.lifecycle import configured

TAKEN = Tenant(
    f"{TEST.stack}-taken",
    f"{TEST.namespace}-taken",
    f"{TEST.realm}-taken",
    f"taken.{TEST.domain}",
    TEST.control_namespace,
)
CLIENT, CLAIM, SECRET = "portal-hub", "lab-files", "kept-since-2019-by-its-owner"
LABELS = {"team": "data", "pod-security.kubernetes.io/enforce": "baseline"}


@dataclass
class ByHand:
    """What its owners made before the program came, and how it looks."""

    realm: KeycloakAdmin
    core: client.CoreV1Api
    files: Path

    def seen(self) -> dict[str, Any]:
        """All of it as its owners see it."""
        key = self.realm.get_client_id(CLIENT) or ""
        groups = {group["name"]: group["id"] for group in self.realm.get_groups()}
        namespace = self.core.read_namespace(TAKEN.namespace).metadata
        return {
            "realm": {k: v for k, v in self.realm.get_realm(TAKEN.realm).items() if k != "keys"},
            "client": self.realm.get_client(key),
            "secret": self.realm.get_client_secrets(key)["value"],
            "groups": {
                name: (
                    groups.get(name),
                    [user["username"] for user in self.realm.get_group_members(groups[name])],
                )
                for name in ("jupyter_admin", "staff")
            },
            "namespace": (namespace.uid, namespace.labels, namespace.annotations),
            "object": self.core.read_namespaced_config_map("theirs", TAKEN.namespace).data,
            "claim": self.core.read_namespaced_persistent_volume_claim(CLAIM, TAKEN.namespace).metadata.uid,
            "file": (self.files / "notes.txt").read_text(),
        }


@pytest.fixture
def by_hand(platform: Platform, tmp_path: Path) -> Iterator[ByHand]:
    """Realm with users, groups and a client; namespace with labels and an object of others; a claim with a file."""
    credentials = credential_store.load()
    keycloak.ensure_realm(credentials, TAKEN.realm)
    realm = keycloak.admin(credentials, TAKEN.realm)
    member = realm.get_user_id(ADMIN_USER)
    assert member
    for group in ("jupyter_admin", "staff"):
        made = realm.create_group({"name": group, "attributes": {"owner": ["somebody else"]}})
        assert made
        realm.group_user_add(member, made)
    realm.create_client(
        {
            "clientId": CLIENT,
            "name": "The portal's hub",
            "secret": SECRET,
            "publicClient": False,
            "standardFlowEnabled": True,
            "webOrigins": ["https://portal.example.org"],
            "redirectUris": [f"https://{TAKEN.hub_host}/*"],
        }
    )
    core = client.CoreV1Api(api_client())
    core.create_namespace(
        {
            "metadata": {
                "name": TAKEN.namespace,
                "labels": LABELS,
                "annotations": {"contact": "data@example.org"},
            }
        }
    )
    core.create_namespaced_config_map(TAKEN.namespace, {"metadata": {"name": "theirs"}, "data": {"a": "1"}})
    files = tmp_path / "lab"
    files.mkdir()
    (files / "notes.txt").write_text("by hand")
    claim = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": f"{TAKEN.stack}-lab",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    core.create_persistent_volume(
        {
            "metadata": {"name": f"{TAKEN.stack}-lab"},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "capacity": {"storage": "1Gi"},
                "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": TAKEN.namespace, "name": CLAIM},
                "hostPath": {"path": str(files)},
            },
        }
    )
    core.create_namespaced_persistent_volume_claim(
        TAKEN.namespace, {"metadata": {"name": CLAIM}, "spec": claim}
    )
    try:
        yield ByHand(realm, core, files)
    finally:
        keycloak.delete_realm(credentials, TAKEN.realm)
        cluster_parts.delete_namespaces(TAKEN.namespace)
        cluster_parts.delete_volumes_of(TAKEN.namespace)


@pytest.fixture
def taken_stack(platform: Platform, by_hand: ByHand, tmp_path: Path) -> Iterator[Stack]:
    """The stack that takes all of it over; not deployed yet."""
    credentials = credential_store.load()
    taken = stack.open_stack(TAKEN, credentials)
    stack.configure(taken, TAKEN, credentials, platform.built)
    own = taken.config_file.read_text()
    identity = {
        "createClient": False,
        "clientId": CLIENT,
        "groups": ["staff", "made-here"],
        "existingGroups": ["jupyter_admin", "staff"],
    }
    for name in ("datasets", "models", "examples"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, 1000, 100)
    storage = {"hostPathRoot": str(tmp_path), "volumes": {"notebooks": {"existingClaim": CLAIM}}}
    with configured(taken, identity=identity, storage=storage):
        taken.set_config({"create_namespace": False})
        yield taken
        taken.destroy()
    assert own
    shutil.rmtree(DATA / "pulumi" / TAKEN.stack)


def test_what_exists_is_used_and_left_as_it_is(taken_stack: Stack, by_hand: ByHand) -> None:
    with pytest.raises(
        EngineError, match=r"config key identity.groupsMapper: .* mapper groups of the client"
    ):
        taken_stack.preview()
    key = by_hand.realm.get_client_id(CLIENT) or ""
    mapper = {
        "name": "groups",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "groups", "full.path": "true", "userinfo.token.claim": "true"},
    }
    by_hand.realm.add_mapper_to_client(key, mapper)
    (made,) = by_hand.realm.get_mappers_from_client(key)
    before = by_hand.seen()

    taken_stack.up()
    assert taken_stack.up(refresh=True).changes == {}
    assert by_hand.seen() == before
    assert "made-here" in {group["name"] for group in by_hand.realm.get_groups()}
    stored = by_hand.core.read_namespaced_secret("jupyterhub-oidc-secret", TAKEN.namespace).data
    assert base64.b64decode(stored["client_secret"]).decode() == SECRET
    assert SECRET not in str(taken_stack.export())

    # into the program's hands, with its users' sessions and its secret, and back again
    with configured(taken_stack, identity={"createClient": True}):
        run_documented(
            "Put a client under the program's management", taken_stack, NAMESPACE=TAKEN.namespace,
            REALM=TAKEN.realm, CLIENT=key, MAPPER=made["id"],
        )  # fmt: skip
        managed = by_hand.realm.get_client(key)
        assert managed["redirectUris"] == [f"https://{TAKEN.hub_host}/hub/oauth_callback"]
        assert by_hand.seen()["secret"] == SECRET
    # its configuration is as before again
    run_documented("Give it back", taken_stack, NAMESPACE=TAKEN.namespace)
    assert taken_stack.up().changes == {}

    before = by_hand.seen()
    taken_stack.destroy()
    assert by_hand.seen() == before
    assert "made-here" not in {group["name"] for group in by_hand.realm.get_groups()}
