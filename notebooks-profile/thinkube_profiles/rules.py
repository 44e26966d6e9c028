"""Settings of the hub-side code: `custom.thinkube` of the chart's values, typed, no wrong ones. No I/O.

Whoever writes the values and whoever reads them agree here: unknown keys are refused at every level.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, ValidationError, field_validator
from pydantic.alias_generators import to_camel

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)


class Control(_Settings):
    """Where thinkube-control answers, how often it is asked, how long it may take, how old an answer may
    get.
    """

    url: str
    refresh_seconds: Seconds = 15
    deadline_seconds: Seconds = 2
    stale_after_seconds: Seconds = 300

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        TypeAdapter(HttpUrl).validate_python(url)
        return url.rstrip("/")


class CatalogueSource(_Settings):
    """The ConfigMap that names the images of this deployment, with their digests."""

    namespace: str = Field(min_length=1)
    config_map: str = Field(min_length=1)


class Size(_Settings):
    """One size on the page. `cpu`: cores; `memory_gb`: GiB; both are the limits of the notebook's
    container.
    """

    slug: str
    display_name: str = Field(min_length=1, max_length=100)
    cpu: float = Field(gt=0, le=1024, allow_inf_nan=False)
    memory_gb: float = Field(gt=0, le=65_536, allow_inf_nan=False)

    @field_validator("slug")
    @classmethod
    def _is_slug(cls, slug: str) -> str:
        if not _SLUG.fullmatch(slug):
            raise ValueError("use lowercase letters, digits and hyphens, 63 characters at most")
        return slug


class Profiles(_Settings):
    """Sizes, and the share of a limit that is guaranteed (requested); fit is judged by guarantees."""

    sizes: tuple[Size, ...] = Field(min_length=1)
    cpu_guarantee_fraction: Fraction = 1
    memory_guarantee_fraction: Fraction = 1

    @field_validator("sizes", mode="before")
    @classmethod
    def _from_list(cls, sizes: Any) -> Any:
        return tuple(sizes) if isinstance(sizes, list) else sizes

    @field_validator("sizes")
    @classmethod
    def _are_distinct(cls, sizes: tuple[Size, ...]) -> tuple[Size, ...]:
        if len({size.slug for size in sizes}) != len(sizes):
            raise ValueError("two sizes have the same slug")
        return sizes


class Settings(_Settings):
    """All of `custom.thinkube`."""

    control: Control
    catalogue: CatalogueSource
    default_image: str = Field(min_length=1)
    profiles: Profiles
    verify_user: str = ""
    """The hub's user for the deployment's own check: it has no login, and a token may start its server."""


def read_settings(values: object) -> Settings:
    """Settings from the chart's values. Raises ValueError: one sentence with every wrong key."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"custom.thinkube{''.join(f'.{part}' for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise ValueError(f"The hub cannot start with these chart values: {faults}.") from None
