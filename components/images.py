"""Notebook images: built and pushed, or taken as they are, and the catalogue ConfigMap that names them.

Owns the builds, the ConfigMap `jupyterhub-image-catalogue` and the call that makes thinkube-control read
it. Leaves alone: names, tags and the manifest (catalogue.py), and what users may pick (the hub's code).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker
from pulumi_kubernetes.core.v1 import ConfigMap

from components import cluster
from components.catalogue import NotebookImage, manifest, plan_images
from components.control_sync import ControlSyncArgs, control_sync
from components.settings.models import Images

CATALOGUE = "jupyterhub-image-catalogue"


@dataclass(frozen=True)
class NotebookImagesArgs:
    """Inputs of NotebookImages."""

    cluster: cluster.Cluster
    namespace: pulumi.Output[str]
    pull_secret: pulumi.Output[str]
    folder: Path
    """dockerfiles/"""
    images: Images
    registry: str
    project: str
    registry_username: str
    registry_password: pulumi.Output[str]
    owner: str
    """platform user that the images belong to"""
    control_url: str
    control_token: pulumi.Output[str] | None


def digest_of(repo_digest: str) -> str:
    """Return "sha256:..." of `host/name@sha256:...`; a bare digest is returned as it is."""
    return repo_digest.rpartition("@")[2]


class NotebookImages(pulumi.ComponentResource):
    """Images in the registry by digest, and the catalogue of them in the cluster."""

    references: Mapping[str, pulumi.Output[str]]
    """registry/repository:tag@digest by image name"""
    default: NotebookImage
    """the image that users get unless they pick another"""
    default_reference: pulumi.Output[str]
    """the same as registry/repository@digest, as pods run it"""
    catalogue: pulumi.Output[str]
    """name of the catalogue ConfigMap"""

    def __init__(
        self, name: str, args: NotebookImagesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Build and push what has changed, then write the catalogue and have it read."""
        super().__init__("thinkube:images:NotebookImages", name, None, opts)
        images = plan_images(args.images, args.folder, args.registry, args.project)
        digests = self._digests(name, args, images)
        self.references = {
            image.metadata.name: pulumi.Output.concat(image.reference, "@", digests[image.metadata.name])
            for image in images
        }
        self.default = next(image for image in images if image.default)
        self.default_reference = pulumi.Output.concat(
            self.default.registry, "/", self.default.repository, "@", digests[self.default.metadata.name]
        )
        content = pulumi.Output.all(**digests).apply(
            lambda known: manifest(images, known, args.project, args.owner)
        )
        # The name is fixed, since the hub reads it live and thinkube-control lists it: changed in place
        # (cluster.py)
        catalogue = ConfigMap(
            f"{name}-catalogue",
            metadata={
                "name": CATALOGUE,
                "namespace": args.namespace,
                "labels": {"thinkube.io/image-manifest": "true", "thinkube.io/category": "user"},
            },
            data={"manifest.json": content},
            opts=cluster.own(self, args.cluster),
        )
        self.catalogue = catalogue.metadata.name
        if args.control_token is None:
            pulumi.log.warn(
                "thinkube-control does not look for new images by itself: after a push run its image sync "
                "by hand, or run `pulumi config set --secret thinkube_control_token`",
                self,
            )
        else:
            control_sync(
                f"{name}-sync",
                ControlSyncArgs(
                    cluster=args.cluster,
                    namespace=args.namespace,
                    pull_secret=args.pull_secret,
                    image=self.default_reference,
                    url=args.control_url,
                    token=args.control_token,
                    catalogue=content,
                ),
                parent=self,
                after=catalogue,
            )
        self.register_outputs({"references": self.references, "catalogue": self.catalogue})

    def _digests(
        self, name: str, args: NotebookImagesArgs, images: Sequence[NotebookImage]
    ) -> dict[str, pulumi.Output[str]]:
        """Build what is to be built; return the digest of each image by name."""
        provider = None
        if args.images.mode == "build" and args.images.docker_host:
            provider = docker.Provider(
                f"{name}-docker", host=args.images.docker_host, opts=pulumi.ResourceOptions(parent=self)
            )
        built: dict[str, docker.Image] = {}
        digests: dict[str, pulumi.Output[str]] = {}
        for image in images:
            if image.context is None:
                digests[image.metadata.name] = pulumi.Output.from_input(image.digest or "")
                continue
            parent = image.metadata.parent
            built[image.metadata.name] = docker.Image(
                f"{name}-{image.metadata.name}",
                image_name=image.reference,
                build=_build(args, image, images),
                registry=docker.RegistryArgs(
                    server=args.registry, username=args.registry_username, password=args.registry_password
                ),
                opts=pulumi.ResourceOptions(
                    parent=self, provider=provider, depends_on=[built[parent]] if parent else []
                ),
            )
            digests[image.metadata.name] = built[image.metadata.name].repo_digest.apply(digest_of)
        return digests


def _build(args: NotebookImagesArgs, image: NotebookImage, images: Sequence[NotebookImage]) -> Any:
    """Build inputs of one image. A child's BASE is its parent's tag: known in preview, unlike the digest."""
    build_args = dict(args.images.build_args)
    for other in images:
        if other.metadata.name == image.metadata.parent:
            build_args["BASE"] = other.reference
    context = str(image.context)
    return docker.DockerBuildArgs(
        context=context,
        dockerfile=f"{context}/Dockerfile",
        args=build_args,
        network=args.images.build_network or None,
        builder_version=docker.BuilderVersion.BUILDER_BUILD_KIT,
    )
