"""The helm command line, and Helm's own records in the cluster.

Installs, upgrades and uninstalls by the ``helm`` on PATH; reads a release's record from its Secret, which spares a
process per refresh. Knows nothing of Pulumi.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import gzip
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pulumi import FileAsset, StringAsset

from local.providers.kubernetes.cluster import ApiError, Cluster
from local.providers.serve import ProviderError

Json = dict[str, Any]

_FLAGS = {
    # input: flag, for install and upgrade alike
    "atomic": "--atomic",
    "devel": "--devel",
    "disableOpenapiValidation": "--disable-openapi-validation",
    "disableWebhooks": "--no-hooks",
    "dependencyUpdate": "--dependency-update",
    "renderSubchartNotes": "--render-subchart-notes",
    "skipCrds": "--skip-crds",
    "takeOwnership": "--take-ownership",
    "verify": "--verify",
}
_INSTALL = {"createNamespace": "--create-namespace", "replace": "--replace"}
_UPGRADE = {
    "cleanupOnFail": "--cleanup-on-fail",
    "forceUpdate": "--force",
    "resetValues": "--reset-values",
    "reuseValues": "--reuse-values",
}
_REPOSITORY = {
    "caFile": "--ca-file",
    "certFile": "--cert-file",
    "keyFile": "--key-file",
    "username": "--username",
}

_OF_THE_CLUSTER = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "ValidatingWebhookConfiguration",
    }
)
"""Kinds that have no namespace."""


class HelmError(ProviderError):
    """helm failed; the text is its own reason."""


class Helm:
    """The helm CLI for one kubeconfig (a path, its text, or None for the ambient one) and context."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        self._kubeconfig = kubeconfig
        self._context = context

    def install(self, release: Mapping[str, Any]) -> None:
        """``helm install``; raises HelmError."""
        self._change("install", release, _INSTALL)

    def upgrade(self, release: Mapping[str, Any]) -> None:
        """``helm upgrade`` of a release that exists; raises HelmError."""
        if release.get("lint"):
            with _values(release) as values:
                self._run(["lint", str(release["chart"]), "--values", values])
        more = ["--history-max", str(release.get("maxHistory") or 0)]
        self._change("upgrade", release, _UPGRADE, *more)

    def uninstall(self, release: Mapping[str, Any]) -> None:
        """``helm uninstall``, waiting as the release was awaited; a release that is gone is fine."""
        wait = (
            [] if release.get("skipAwait") and not release.get("atomic") else ["--wait", *_timeout(release)]
        )
        name, namespace = str(release["name"]), str(release["namespace"])
        self._run(["uninstall", name, "--namespace", namespace, "--ignore-not-found", *wait])

    def chart(self, release: Mapping[str, Any]) -> Json:
        """The Chart.yaml of a release's chart: a folder, an archive, or a name in a repository. Raises
        HelmError.
        """
        local = Path(str(release["chart"]))
        try:
            if (local / "Chart.yaml").is_file():
                return dict(yaml.safe_load((local / "Chart.yaml").read_text()))
            if local.is_file():
                with tarfile.open(local) as archive:
                    member = next(
                        m for m in archive if m.name.count("/") == 1 and m.name.endswith("/Chart.yaml")
                    )
                    content = archive.extractfile(member)
                    return dict(yaml.safe_load(content.read() if content else b"{}"))
        except (OSError, tarfile.TarError, yaml.YAMLError, StopIteration) as problem:
            raise HelmError(f"the chart {local} cannot be read ({problem})") from None
        with _repository(release) as flags:
            return dict(yaml.safe_load(self._run(["show", "chart", str(local), *flags])))

    def _change(self, verb: str, release: Mapping[str, Any], flags: Mapping[str, str], *more: str) -> None:
        command = [
            verb,
            str(release["name"]),
            str(release["chart"]),
            "--namespace",
            str(release["namespace"]),
            *more,
        ]
        command += [flag for key, flag in {**_FLAGS, **flags}.items() if release.get(key)]
        for key, flag in (
            ("description", "--description"),
            ("keyring", "--keyring"),
            ("postrender", "--post-renderer"),
        ):
            command += [flag, str(release[key])] if release.get(key) else []
        if not release.get("skipAwait"):
            command += [
                "--wait",
                *_timeout(release),
                *(["--wait-for-jobs"] if release.get("waitForJobs") else []),
            ]
        with _values(release) as values, _repository(release) as repository:
            self._run([*command, "--values", values, *repository])

    def _run(self, arguments: Sequence[str]) -> str:
        with self._environment() as env:
            try:
                done = subprocess.run(
                    ["helm", *arguments], env=env, capture_output=True, text=True, check=False
                )
            except FileNotFoundError:
                raise HelmError("helm is not on PATH; put the helm 3 binary there.") from None
        if done.returncode != 0:
            lines = [
                line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING:")
            ]
            raise HelmError(
                "\n".join(lines).removeprefix("Error: ") or f"helm {arguments[0]} failed ({done.returncode})"
            )
        return done.stdout

    @contextlib.contextmanager
    def _environment(self) -> Iterator[dict[str, str]]:
        env = {**os.environ, **({"HELM_KUBECONTEXT": self._context} if self._context else {})}
        text = self._kubeconfig
        if text and ("\n" in text or text.lstrip().startswith("{")):
            with tempfile.NamedTemporaryFile("w", prefix="thinkube-kubeconfig-") as file:
                file.write(text)
                file.flush()
                yield {**env, "KUBECONFIG": file.name}
        else:
            yield {**env, **({"KUBECONFIG": text} if text else {})}


def record(cluster: Cluster, namespace: str, name: str) -> Json | None:
    """Helm's record of the newest revision: name, namespace, version, info, chart, config, manifest; None
    without a release.
    """
    try:
        listed = cluster.request(
            "GET",
            f"/api/v1/namespaces/{namespace}/secrets",
            query={"labelSelector": f"owner=helm,name={name}"},
        )
    except ApiError as answer:
        if answer.code == 404:
            return None
        raise
    revisions = sorted(
        listed.get("items", []), key=lambda item: int(item["metadata"]["labels"].get("version", 0))
    )
    if not revisions:
        return None
    packed = base64.b64decode(base64.b64decode(revisions[-1]["data"]["release"]))
    found: Json = json.loads(gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed)
    return found


def resource_names(manifest: str, namespace: str) -> dict[str, list[str]]:
    """Names of the objects in a rendered manifest, by ``Kind/apiVersion`` as the official provider lists
    them: sorted, ``namespace/name`` unless they are the cluster's.
    """
    names: dict[str, list[str]] = {}
    # The C loader: a real chart's manifest takes PyYAML's own a second.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for item in yaml.load_all(manifest, Loader=loader):
        if isinstance(item, dict) and item.get("kind"):
            data = item["metadata"]
            place = "" if item["kind"] in _OF_THE_CLUSTER else f"{data.get('namespace') or namespace}/"
            names.setdefault(f"{item['kind']}/{item.get('apiVersion')}", []).append(place + data["name"])
    return {kind: sorted(found) for kind, found in names.items()}


def content_of(asset: Any) -> Json:
    """The values in a file or string asset; raises ProviderError for another kind."""
    if isinstance(asset, StringAsset):
        return yaml.safe_load(asset.text) or {}
    if isinstance(asset, FileAsset):
        return yaml.safe_load(Path(asset.path).read_text()) or {}
    raise ProviderError("valueYamlFiles takes file and string assets only.")


def merged(layers: list[Json]) -> Json:
    """Values laid over each other, the later ones on top; lists are replaced."""
    answer: Json = {}
    for layer in layers:
        for key, value in layer.items():
            below = answer.get(key)
            both = isinstance(below, dict) and isinstance(value, dict)
            answer[key] = merged([below, value]) if both else copy.deepcopy(value)  # type: ignore[list-item]
    return answer


@contextlib.contextmanager
def _values(release: Mapping[str, Any]) -> Iterator[str]:
    """The values in a file that only we can read: values may hold secrets, and arguments are public."""
    with tempfile.NamedTemporaryFile("w", prefix="thinkube-values-", suffix=".json") as file:
        json.dump(release.get("values") or {}, file)
        file.flush()
        yield file.name


@contextlib.contextmanager
def _repository(release: Mapping[str, Any]) -> Iterator[list[str]]:
    """Flags that find the chart; a local chart takes none (helm would look for its version in a
    repository).
    """
    options = release.get("repositoryOpts") or {}
    flags = [
        part for key, flag in _REPOSITORY.items() if options.get(key) for part in (flag, str(options[key]))
    ]
    flags += ["--repo", str(options["repo"])] if options.get("repo") else []
    if options.get("password"):
        flags += ["--password", str(options["password"])]
    local = Path(str(release["chart"])).exists()
    yield flags if local or not release.get("version") else [*flags, "--version", str(release["version"])]


def _timeout(release: Mapping[str, Any]) -> list[str]:
    return ["--timeout", f"{int(release.get('timeout') or 300)}s"]
