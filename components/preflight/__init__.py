"""Preflight: every service that a deploy needs is looked for before anything is touched.

Owns which checks a stack's settings call for. Reads only; a login is all that the services see of it. docs/preflight.md
has what is tried, and what is said.
"""

from __future__ import annotations

from pathlib import Path

import pulumi

from components.preflight.cluster import cluster_check, control_check, in_cluster
from components.preflight.docker import docker_check
from components.preflight.git import git_check
from components.preflight.keycloak import Keycloak, keycloak_check
from components.preflight.kubeconfig import Choice
from components.preflight.missing import Check, Missing
from components.preflight.registry import Registry, registry_check
from components.preflight.run import run_checks
from components.preflight.web import Deadline
from components.settings import Settings, plain_secret
from components.settings.models import Chart
from components.settings.types import split_pinned

__all__ = ["preflight"]


def preflight(settings: Settings, config: pulumi.Config) -> None:
    """Look for everything that the stack needs; `config` is the project's. Raises pulumi.RunError, a line for each
    thing that is missing.
    """
    run_checks(_checks(settings, config) if settings.preflight else [_chart(settings.hub.chart)])


def _checks(settings: Settings, config: pulumi.Config) -> list[Check]:
    kubernetes = pulumi.Config("kubernetes")
    choice = Choice(
        *(kubernetes.get(key) or "" for key in ("kubeconfig", "context", "cluster")),
    )
    identity = settings.identity
    checks = [
        _chart(settings.hub.chart),
        keycloak_check(
            Keycloak(
                url=settings.keycloak_url,
                realm=identity.realm,
                create_realm=identity.create_realm,
                ca_bundle=identity.ca_bundle,
                username=settings.keycloak_admin_username,
                password=plain_secret(config, "keycloak_admin_password"),
            )
        ),
        cluster_check(settings, choice),
    ]
    if in_cluster(settings.control.url, settings.namespace) is None:
        checks.append(control_check(settings.control.url))
    if actions := _needs(settings):
        checks.append(
            registry_check(
                Registry(
                    host=settings.registry,
                    username=settings.harbor_robot_username,
                    password=plain_secret(config, "harbor_robot_token"),
                    repository=f"{settings.harbor_project}/{settings.images.default}",
                    actions=actions,
                    ca_bundle=identity.ca_bundle,
                )
            )
        )
    if settings.images.mode == "build":
        host = settings.images.docker_host or pulumi.Config("docker").get("host") or ""
        if (engine := docker_check(host)) is not None:
            checks.append(engine)
    token = plain_secret(config, "examples_token")
    checks += [
        git_check(repository, token, settings.examples_ca_bundle)
        for repository in settings.examples.repositories
    ]
    return checks


def _needs(settings: Settings) -> list[str]:
    """What the stack does with its registry. Images that come from elsewhere are the nodes' business alone."""
    if settings.images.mode == "build":
        return ["pull", "push"]
    hosts = [split_pinned(reference)[0] for reference in settings.images.prebuilt.values()]
    return ["pull"] if settings.registry in hosts else []


def _chart(chart: Chart) -> Check:
    """A chart by path is there; one from a repository is the provider's to fetch."""

    def look(deadline: Deadline) -> list[Missing]:
        path = Path(chart.path)
        if not chart.path or path.is_file() or (path / "Chart.yaml").is_file():
            return []
        cause = f"{chart.path} is no tarball and no folder with a Chart.yaml"
        remedy = "correct the config key hub.chart.path"
        return [Missing("JupyterHub chart", cause, str(path.absolute()), remedy)]

    return Check("JupyterHub chart", chart.path, "hub.chart.path", look)
