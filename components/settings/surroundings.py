"""Settings of what the hub stands on: Keycloak, volumes, images. Keys, defaults and the rules between them.

Leaves alone: the hub itself (release.py), the stack as a whole (models.py), formats (types.py). The description of
each field is its line in docs/configuration.md.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from components.settings.types import (
    AbsolutePath,
    DnsLabel,
    Group,
    HttpsUrl,
    Name,
    ObjectName,
    Pem,
    PinnedImage,
    Quantity,
    Replication,
    Section,
)


class Identity(Section):
    """Keycloak, and who may log in."""

    url: HttpsUrl = Field("", description='Base URL of Keycloak; "" means https://auth.<domain_name>')
    realm: Name = Field("thinkube", description="realm of the users")
    create_realm: bool = Field(
        False,
        description="make the realm instead of using an existing one; destroy then deletes it, users and all",
    )
    client_id: Name = Field("jupyterhub", description="client of the hub")
    create_client: bool = Field(
        True,
        description="make the client and its mapper; false: clientId is there already, is used and never changed",
    )
    groups_claim: Name = Field("groups", description="claim of the tokens that carries the user's groups")
    groups_mapper: str = Field(
        "groups",
        description="the client's mapper that writes the claim; an existing client's is checked, "
        '"" for one that gets the claim from a client scope',
    )
    groups_full_path: bool = Field(
        True,
        description="the claim carries whole paths (/team/staff); false: bare names, and a group of the right "
        "name anywhere below another one counts as well",
    )
    admin_group: Group = Field(
        "jupyter_admin",
        description="group whose members are JupyterHub admins, who can open any user's server",
    )
    create_groups: bool = Field(
        True, description="make adminGroup and groups; false: they are all there already"
    )
    groups: list[Group] = Field(default_factory=list, description="further groups to make in the realm")
    existing_groups: list[Group] = Field(
        default_factory=list,
        description="those of adminGroup and groups that are there already: used, never changed or deleted",
    )
    allowed_groups: list[Group] = Field(
        default_factory=list,
        description="groups that may log in, beside the admins; empty: every user of the realm",
    )
    ca_bundle: Pem = Field(
        "", description="PEM certificates of a private CA that signed Keycloak's certificate"
    )

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        named = [self.admin_group, *self.groups]
        if unknown := [group for group in self.existing_groups if group not in named]:
            raise ValueError(
                f"existingGroups: {', '.join(unknown)} is neither adminGroup nor one of groups; add it to "
                "identity.groups, or take it out"
            )
        if nested := [group for group in self.made_groups if "/" in group]:
            raise ValueError(
                f"groups below others are not made ({', '.join(nested)}): make them in Keycloak, and add them "
                "to identity.existingGroups"
            )
        if self.create_client and not self.groups_mapper:
            raise ValueError("groupsMapper: must have a name unless createClient is false")
        if self.create_realm and not self.create_client:
            raise ValueError("createClient: a realm that is to be made has no client yet; set it to true")
        return self

    @property
    def made_groups(self) -> list[str]:
        """Groups that the program makes."""
        if not self.create_groups:
            return []
        named = dict.fromkeys([self.admin_group, *self.groups])
        return [group for group in named if group not in self.existing_groups]

    @property
    def expected_groups(self) -> dict[str, str]:
        """Groups that must be there already, and the config key that says so."""
        keys = {**dict.fromkeys(self.groups, "groups"), self.admin_group: "adminGroup"}
        keys |= {group: "allowedGroups" for group in self.allowed_groups if group not in keys}
        made = self.made_groups
        return {group: key for group, key in keys.items() if group not in made}

    def claim(self, group: str) -> str:
        """What the claim carries for a group."""
        return f"/{group}" if self.groups_full_path else group.rpartition("/")[2]


CAPACITY = (
    "capacity of the claim; a static one (seaweedfs-csi, hostPath) keeps what it was made with, since Kubernetes "
    "cannot resize it: there it is a label, not a limit"
)


class Volume(Section):
    """One volume that notebooks mount; each has a default size of its own."""

    size: Quantity = Field(description=CAPACITY)
    existing_claim: ObjectName = Field(
        "", description="claim in the namespace to use instead of making one; it is never changed or deleted"
    )


class Notebooks(Volume):
    """Users' own files, a subfolder each."""

    size: Quantity = Field("100Gi", description=CAPACITY)


class Datasets(Volume):
    """Data that all users read and write."""

    size: Quantity = Field("500Gi", description=CAPACITY)


class Models(Volume):
    """Models that all users read and write."""

    size: Quantity = Field("200Gi", description=CAPACITY)


class ExamplesVolume(Volume):
    """Snapshots of the examples' repositories."""

    size: Quantity = Field("10Gi", description=CAPACITY)


class Volumes(Section):
    """The volumes that notebooks mount, by name."""

    notebooks: Notebooks = Field(default_factory=Notebooks, description="users' own files, a subfolder each")
    datasets: Datasets = Field(default_factory=Datasets, description="data that all users share")
    models: Models = Field(default_factory=Models, description="models that all users share")
    examples: ExamplesVolume = Field(
        default_factory=ExamplesVolume, description="snapshots of the examples, read-only for users"
    )


class HubDatabase(Section):
    """The claim of the hub's SQLite database: local storage, since SQLite needs working locks."""

    size: Quantity = Field("1Gi", description="capacity of the claim")
    storage_class: str = Field("", description='StorageClass; "" means the cluster\'s default one')


class Storage(Section):
    """Where users' files lie."""

    backend: Literal["seaweedfs-csi", "hostPath", "storageClass"] = Field(
        "seaweedfs-csi",
        description="static volumes of the SeaweedFS CSI driver, static host paths, or dynamic ones",
    )
    collection: Name = Field("jupyter", description="SeaweedFS collection (seaweedfs-csi)")
    replication: Replication = Field(
        "000", description='SeaweedFS replication, in quotes; "001" needs two volume servers (seaweedfs-csi)'
    )
    filer_path: AbsolutePath = Field(
        "", description='folder of the volumes in the filer; "" means /jupyterhub/<stack> (seaweedfs-csi)'
    )
    host_path_root: AbsolutePath = Field(
        "", description="folder on the node that holds one folder per volume (hostPath)"
    )
    storage_class: str = Field("", description="StorageClass with ReadWriteMany volumes (storageClass)")
    volumes: Volumes = Field(default_factory=Volumes, description="the volumes")
    hub_database: HubDatabase = Field(default_factory=HubDatabase, description="the hub's database")

    @model_validator(mode="after")
    def _backend_is_complete(self) -> Self:
        if self.backend == "hostPath" and not self.host_path_root:
            raise ValueError("backend 'hostPath' needs storage.hostPathRoot")
        if self.backend == "storageClass" and not self.storage_class:
            raise ValueError("backend 'storageClass' needs storage.storageClass")
        return self


class Images(Section):
    """Notebook images: built from dockerfiles/, or references to what was built elsewhere."""

    mode: Literal["build", "prebuilt"] = Field(
        "build", description="build and push dockerfiles/*, or use references"
    )
    default: Name = Field(
        "tk-jupyter-scipy", description="image that is chosen unless the user picks another"
    )
    build_args: dict[Name, str] = Field(
        default_factory=dict, description="build arguments for every image, e.g. BASE"
    )
    build_network: str = Field(
        "", description='network of build steps ("host" where the daemon has no bridge)'
    )
    docker_host: str = Field(
        "", description='Docker engine, e.g. unix:///run/docker.sock; "" means the default one'
    )
    prebuilt: dict[DnsLabel, PinnedImage] = Field(
        default_factory=dict, description="image name to registry/repository:tag@digest (mode prebuilt)"
    )

    @model_validator(mode="after")
    def _mode_is_complete(self) -> Self:
        if self.mode == "prebuilt" and self.default not in self.prebuilt:
            raise ValueError(f"mode 'prebuilt' needs the default image too: images.prebuilt.{self.default}")
        if self.mode == "build" and self.prebuilt:
            raise ValueError("images.prebuilt is used only with images.mode 'prebuilt'")
        return self
