"""Settings of the examples: which repositories users see read-only, and when they are fetched.

Leaves alone: the volume that they lie on (surroundings.py), the token (reader.py), formats (types.py).
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from components.settings.types import (
    Cron,
    GitRef,
    Name,
    Pem,
    PinnedImageOrDefault,
    RepositoryUrl,
    Section,
    check_folder,
)


class Repository(Section):
    """One git repository, read over HTTPS."""

    url: RepositoryUrl = Field(description="its https URL")
    name: str = Field("", description='folder that users see; "" means the last part of url, without .git')
    ref: GitRef = Field("main", description="branch or tag")
    private: bool = Field(
        False, description="log in with examples_token, which goes to these repositories only"
    )
    username: Name = Field(
        "git", description="user that examples_token belongs to; most servers take any name (private)"
    )

    @model_validator(mode="after")
    def _folder_is_a_name(self) -> Self:
        check_folder(self.folder)
        return self

    @property
    def folder(self) -> str:
        """Name of the folder that users see."""
        return self.name or self.url.rpartition("/")[2].removesuffix(".git")


class Examples(Section):
    """Repositories that every user finds in ~/thinkube/examples-repo."""

    repositories: list[Repository] = Field(
        default_factory=lambda: [Repository(url="https://github.com/thinkube/thinkube-ai-examples.git")],
        description="repositories, a folder each; none: nothing is fetched",
    )
    schedule: Cron = Field("23 4 * * *", description="when to fetch again (cron, five fields, UTC)")
    timeout_seconds: Annotated[int, Field(ge=10, le=3600)] = Field(
        300, description="longest fetch of one repository"
    )
    ca_bundle: Pem = Field(
        "",
        description='PEM certificates of a private CA that signed the git servers\'; "" means identity.caBundle',
    )
    image: PinnedImageOrDefault = Field(
        "",
        description="image with git and python3, as registry/repository:tag@digest; "
        '"" means the default notebook image',
    )

    @model_validator(mode="after")
    def _folders_are_unique(self) -> Self:
        folders = [repository.folder for repository in self.repositories]
        if twice := sorted({folder for folder in folders if folders.count(folder) > 1}):
            raise ValueError(f"repositories with the same folder: {', '.join(twice)}; give one another name")
        return self
