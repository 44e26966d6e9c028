"""Plain settings of a stack as a whole: the keys of Pulumi.yaml, and the rules between them.

Owns the flat keys; those inside an object are in surroundings.py, release.py and examples.py, and are imported from
here. Leaves alone: where values come from (reader.py), formats (types.py), and secrets: they are never in a model.

Flat keys are snake_case as in Pulumi.yaml, keys in objects camelCase. Unknown keys are refused everywhere.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from components.settings.examples import Examples, Repository
from components.settings.release import Chart, Control, Hub, Image, Profiles, Size, Tls
from components.settings.surroundings import Identity, Images, Storage, Volume, Volumes
from components.settings.types import DnsLabel, DomainName, Name, Pem, Project, Registry, Section

__all__ = [
    "Chart",
    "Control",
    "Examples",
    "Hub",
    "Identity",
    "Image",
    "Images",
    "Profiles",
    "Repository",
    "Section",
    "Settings",
    "Size",
    "Storage",
    "Tls",
    "Volume",
    "Volumes",
]


class Settings(BaseModel):
    """All plain settings of a stack."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain_name: DomainName
    namespace: DnsLabel = "jupyterhub"
    create_namespace: bool = True
    admin_username: Name
    system_username: Name = "thinkube"
    harbor_registry: Registry = ""
    harbor_project: Project = "library"
    harbor_robot_username: Name = "robot$thinkube"
    keycloak_admin_username: Name = "admin"
    tls_certificate: Pem = ""
    preflight: bool = True
    identity: Identity = Field(default_factory=Identity)
    storage: Storage = Field(default_factory=Storage)
    images: Images = Field(default_factory=Images)
    hub: Hub = Field(default_factory=Hub)
    control: Control = Field(default_factory=Control)
    profiles: Profiles = Field(default_factory=Profiles)
    examples: Examples = Field(default_factory=Examples)

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
    def examples_ca_bundle(self) -> str:
        """PEM that the examples' git servers are trusted by, beside the system's CAs; "" for those alone."""
        return self.examples.ca_bundle or self.identity.ca_bundle

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
