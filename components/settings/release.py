"""Settings of the hub: chart and release, thinkube-control, the sizes that users may pick. Keys, defaults, rules.

Leaves alone: what the hub stands on (surroundings.py), the stack as a whole (models.py), formats (types.py). The
description of each field is its line in docs/configuration.md.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.types import (
    DnsLabel,
    Fraction,
    HttpUrl,
    ImageName,
    ImageTag,
    Name,
    ObjectName,
    Quantity,
    Seconds,
    Section,
)


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
    scratch_size: Quantity = Field(
        "50Gi", description="limit of ~/scratch on the node's own disk; a pod that exceeds it is evicted"
    )
    environment_secret: ObjectName = Field(
        "",
        description='Secret in the namespace whose key .thinkube_env becomes the file ~/.thinkube_env; "": none',
    )
    pod_security: Literal["restricted", "baseline"] = Field(
        "restricted", description="Pod Security level that the namespace enforces"
    )


class Control(Section):
    """thinkube-control, which reports images and free resources. Seen from inside the cluster."""

    url: HttpUrl = Field(
        "http://backend.thinkube-control.svc.cluster.local:8000/api/v1", description="base URL of its API"
    )
    refresh_seconds: Annotated[Seconds, Field(ge=1)] = Field(15, description="time between two questions")
    deadline_seconds: Seconds = Field(2, description="longest wait for an answer")
    stale_after_seconds: Seconds = Field(300, description="age from which starts are refused")

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


# the page prints cores and memory beside the name
_SIZES = (
    ("cpu-basic", "CPU basic", 2, 4),
    ("cpu-medium", "CPU medium", 4, 8),
    ("cpu-large", "CPU large", 8, 16),
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
