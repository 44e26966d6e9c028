"""Plain settings of a stack, and their defaults: what the keys of Pulumi.yaml may hold.

Owns keys, defaults and the rules between keys. Leaves alone: where values come from (reader.py), formats
(types.py), and secrets, which are never part of a model.

Flat keys are snake_case as in Pulumi.yaml, keys in objects camelCase. Unknown keys are refused everywhere.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from components.settings.types import (
    AbsolutePath,
    DnsLabel,
    DomainName,
    Fraction,
    HttpsUrl,
    HttpUrl,
    ImageName,
    ImageTag,
    Name,
    Pem,
    PinnedImage,
    Quantity,
    Registry,
    Replication,
)


class Section(BaseModel):
    """An object of the stack file: strict types, camelCase keys, nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class Identity(Section):
    """Keycloak, and who may log in."""

    url: HttpsUrl = Field("", description='Base URL of Keycloak; "" means https://auth.<domain_name>')
    realm: Name = Field("thinkube", description="realm of the users")
    create_realm: bool = Field(
        False,
        description="make the realm instead of using an existing one; destroy then deletes it, users and all",
    )
    client_id: Name = Field("jupyterhub", description="client that this program makes for the hub")
    groups_claim: Name = Field("groups", description="claim of the tokens that carries the user's groups")
    admin_group: Name = Field("jupyter_admin", description="group whose members are JupyterHub admins")
    create_groups: bool = Field(True, description="make adminGroup and groups; false: they are there already")
    groups: list[Name] = Field(default_factory=list, description="further groups to make in the realm")
    allowed_groups: list[Name] = Field(
        default_factory=list,
        description="groups that may log in, beside the admins; empty: every user of the realm",
    )
    ca_bundle: Pem = Field(
        "", description="PEM certificates of a private CA that signed Keycloak's certificate"
    )


class Volume(Section):
    """One shared volume."""

    size: Quantity = Field(description="capacity of the claim")


class Volumes(Section):
    """The volumes that notebooks mount, by name."""

    notebooks: Volume = Field(Volume(size="100Gi"), description="users' own files, a subfolder each")


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


class Chart(Section):
    """The zero-to-jupyterhub Helm chart."""

    repository: HttpUrl = Field("https://hub.jupyter.org/helm-chart", description="chart repository")
    name: Name = Field("jupyterhub", description="chart")
    version: Name = Field("4.4.0", description="version")
    path: str = Field(
        "", description="tarball or folder of the chart for clusters without access; wins over the rest"
    )


class Image(Section):
    """An image that replaces one of the chart's own."""

    name: ImageName = Field(description="image name without tag")
    tag: ImageTag = Field(description="tag")


class Tls(Section):
    """Certificate of jupyter.<domain_name>, unless tls_certificate and tls_private_key hold it."""

    secret_name: str = Field("", description="existing TLS Secret in the namespace")
    cluster_issuer: str = Field("", description="cert-manager ClusterIssuer that makes the certificate")


class Hub(Section):
    """The JupyterHub release."""

    chart: Chart = Field(default_factory=Chart, description="the Helm chart")
    image: Image | None = Field(None, description="hub image instead of the chart's")
    proxy_image: Image | None = Field(None, description="proxy image instead of the chart's")
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = Field(
        "", description='pull policy of hub, proxy and notebooks; "" means Kubernetes\' default'
    )
    ingress_class: str = Field("", description='IngressClass; "" means the cluster\'s default one')
    ingress_annotations: dict[str, str] = Field(
        default_factory=dict, description="annotations of the Ingress"
    )
    tls: Tls = Field(default_factory=Tls, description="the certificate")
    user_scheduler: bool = Field(True, description="pack users' pods with the chart's own scheduler")
    pre_puller: bool = Field(
        False, description="pull the default image to every node; a new default image then restarts the hub"
    )
    cull_timeout_seconds: Annotated[int, Field(ge=0)] = Field(
        3600, description="stop servers idle for this long; 0: never"
    )
    start_timeout_seconds: Annotated[int, Field(gt=0)] = Field(
        300, description="give a notebook this long to start"
    )
    release_timeout_seconds: Annotated[int, Field(gt=0)] = Field(
        600, description="give a deploy this long to get ready"
    )
    pod_security: Literal["restricted", "baseline"] = Field(
        "restricted", description="Pod Security level that the namespace enforces"
    )


class Control(Section):
    """thinkube-control, which reports images and free resources. Seen from inside the cluster."""

    url: HttpUrl = Field(
        "http://backend.thinkube-control.svc.cluster.local:8000/api/v1", description="base URL of its API"
    )
    refresh_seconds: Annotated[float, Field(ge=1)] = Field(15, description="time between two questions")
    deadline_seconds: Annotated[float, Field(gt=0)] = Field(2, description="longest wait for an answer")
    stale_after_seconds: Annotated[float, Field(gt=0)] = Field(
        300, description="age from which starts are refused"
    )

    @model_validator(mode="after")
    def _times_are_in_order(self) -> Self:
        if self.stale_after_seconds <= self.refresh_seconds:
            raise ValueError("staleAfterSeconds must be above refreshSeconds")
        return self


class Size(Section):
    """One size of notebook server."""

    slug: DnsLabel = Field(description="short name, never changed once users know it")
    display_name: Annotated[str, Field(min_length=1, max_length=80)] = Field(description="what users read")
    cpu: Annotated[float, Field(gt=0, le=1024, allow_inf_nan=False)] = Field(description="cores, at most")
    memory_gb: Annotated[float, Field(gt=0, le=65536, allow_inf_nan=False)] = Field(
        description="memory in GB, at most"
    )


_SIZES = (
    ("cpu-basic", "CPU basic: 2 cores, 4 GB", 2, 4),
    ("cpu-medium", "CPU medium: 4 cores, 8 GB", 4, 8),
    ("cpu-large", "CPU large: 8 cores, 16 GB", 8, 16),
)


class Profiles(Section):
    """What users may pick."""

    sizes: Annotated[list[Size], Field(min_length=1)] = Field(
        default_factory=lambda: [
            Size(slug=slug, displayName=name, cpu=cpu, memoryGb=memory) for slug, name, cpu, memory in _SIZES
        ],
        description="sizes, smallest first",
    )
    cpu_guarantee_fraction: Fraction = Field(0.25, description="share of a size's cores that is reserved")
    memory_guarantee_fraction: Fraction = Field(1.0, description="share of a size's memory that is reserved")

    @model_validator(mode="after")
    def _slugs_are_unique(self) -> Self:
        slugs = [size.slug for size in self.sizes]
        if twice := sorted({slug for slug in slugs if slugs.count(slug) > 1}):
            raise ValueError(f"sizes with the same slug: {', '.join(twice)}")
        return self


class Settings(BaseModel):
    """All plain settings of a stack."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain_name: DomainName
    namespace: DnsLabel = "jupyterhub"
    admin_username: Name
    system_username: Name = "thinkube"
    harbor_registry: Registry = ""
    harbor_project: Name = "library"
    harbor_robot_username: Name = "robot$thinkube"
    keycloak_admin_username: Name = "admin"
    tls_certificate: Pem = ""
    identity: Identity = Field(default_factory=Identity)
    storage: Storage = Field(default_factory=Storage)
    images: Images = Field(default_factory=Images)
    hub: Hub = Field(default_factory=Hub)
    control: Control = Field(default_factory=Control)
    profiles: Profiles = Field(default_factory=Profiles)

    @model_validator(mode="after")
    def _one_certificate(self) -> Self:
        ways = [bool(self.tls_certificate), bool(self.hub.tls.secret_name), bool(self.hub.tls.cluster_issuer)]
        if sum(ways) != 1:
            found = "more than one source is" if sum(ways) else "no source is"
            raise ValueError(
                f"the hub's certificate: {found} set; set exactly one of the config keys tls_certificate "
                "(with tls_private_key), hub.tls.secretName (an existing Secret) and hub.tls.clusterIssuer"
            )
        return self

    @property
    def hub_host(self) -> str:
        """Host name that users open."""
        return f"jupyter.{self.domain_name}"

    @property
    def keycloak_url(self) -> str:
        """Base URL of Keycloak, without trailing slash."""
        return self.identity.url or f"https://auth.{self.domain_name}"

    @property
    def registry(self) -> str:
        """Registry's host name (and port)."""
        return self.harbor_registry or f"harbor.{self.domain_name}"
