"""The embedded platform as a fixture, and the rule that CI skips none of the tests that need it.

Owns bringing the platform up once a session and taking it away again if it was not there before. A platform that
`make up` brought up stays, and what it holds for its user is not touched: tests have a stack, a namespace, a realm and
a domain of their own (``local.platform.TEST``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # unit tests need neither the platform's modules nor what those import
    from local.platform import BuiltImages

REQUIRED = os.environ.get("REQUIRE_PLATFORM") == "1"
KEEP = os.environ.get("KEEP_PLATFORM") == "1"  # for development: the next run starts at once
TIERS = ("engine", "machine", "platform")
LOG_TAILS = pytest.StashKey[dict[Path, str]]()


@dataclass(frozen=True)
class Platform:
    """The running platform: addresses and logins, as the program's configuration wants them."""

    kubeconfig: Path
    ca_file: Path
    docker_host: str
    keycloak_url: str
    keycloak_admin_username: str
    keycloak_admin_password: str
    harbor_registry: str
    harbor_username: str
    harbor_password: str
    control_token: str
    users: dict[str, str]
    built: BuiltImages


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """The embedded platform with the tests' own share of it; progress goes to the terminal."""
    from local import credentials as credential_store
    from local import paths
    from local import platform as parts

    fit()
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\nThe embedded platform:")
        was_up = parts.is_up()
        try:
            built = parts.up(parts.TEST, with_tests=True, wait=600)
        except BaseException:
            request.config.stash[LOG_TAILS] = log_tails(paths.LOGS)
            if not (was_up or KEEP):
                parts.down()
            raise
    credentials = credential_store.load()
    yield Platform(
        kubeconfig=paths.KUBECONFIG,
        ca_file=paths.CA_FILE,
        docker_host=f"unix://{paths.DOCKER_SOCKET}",
        keycloak_url=paths.KEYCLOAK_URL,
        keycloak_admin_username=credentials.keycloak_admin_username,
        keycloak_admin_password=credentials.keycloak_admin,
        harbor_registry=paths.REGISTRY,
        harbor_username=credentials.harbor_robot_username,
        harbor_password=credentials.harbor_robot,
        control_token=credentials.control_token,
        users=dict(credentials.users),
        built=built,
    )
    if KEEP:
        return
    request.config.stash[LOG_TAILS] = log_tails(paths.LOGS)  # they go with the platform
    with capture.global_and_fixture_disabled():
        print()
        try:
            parts.remove_tenant(parts.TEST, credentials, delete_files=True)
        finally:
            if not was_up:
                parts.down()


@pytest.fixture(scope="session")
def engine_tools(request: pytest.FixtureRequest) -> Path:
    """The folder with Kubernetes' parts, Pulumi and Helm, made as `make up` makes them where one is missing; starts
    nothing.
    """
    from local import paths
    from local import platform as parts

    needed = ("kube-apiserver", "kube-controller-manager", "pulumi", "pulumi-language-python", "helm")
    if not (all((paths.BIN / name).exists() for name in needed) and shutil.which("etcd")):
        fit()
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print("\nTools of the embedded platform:")
            parts.provide(with_tests=True)
    return paths.BIN


def fit() -> None:
    """Skip where the machine cannot have the platform (no root, too small); what breaks on others is a failure."""
    from local import preflight
    from local.errors import PlatformError

    try:
        preflight.check()
    except PlatformError as problem:
        if REQUIRED:
            raise
        pytest.skip(f"The embedded platform cannot be had here: {problem}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, and run the quick tiers first: unit, engine, machine, platform."""
    order = {"unit": 0, **{tier: number for number, tier in enumerate(TIERS, 1)}}

    def tier(item: pytest.Item) -> str:
        return item.path.relative_to(Path(__file__).parent).parts[0]

    for item in items:
        if tier(item) in TIERS:
            item.add_marker(tier(item))
    items.sort(key=lambda item: order.get(tier(item), 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With REQUIRE_PLATFORM=1 a skipped engine, machine or platform test is a failed one: a skip proves nothing."""
    report = yield
    tiers = [tier for tier in TIERS if item.get_closest_marker(tier)]
    if REQUIRED and tiers and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_PLATFORM=1 allows no skip of a {tiers[0]} test: {report.longrepr}"
    return report


def log_tails(folder: Path) -> dict[Path, str]:
    """The last lines of each of the platform's logs."""
    from local.shell import tail

    return {log: tail(log, 12) for log in sorted(folder.glob("*.log"))} if folder.exists() else {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """When platform tests failed: the last lines of each of the platform's logs, saved before it was taken down."""
    from local.paths import LOGS

    failed = terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
    if not (REQUIRED and any(f"tests/{tier}" in report.nodeid for report in failed for tier in TIERS)):
        return
    for log, text in (config.stash.get(LOG_TAILS, None) or log_tails(LOGS)).items():
        terminalreporter.section(str(log), sep="-")
        terminalreporter.write_line(text)
