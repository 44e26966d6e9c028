"""Which cluster the Kubernetes provider would talk to, read from a kubeconfig as kubectl reads it.

Owns where kubeconfigs are looked for, how several are merged, and the choice of context, cluster and user. Leaves
alone: logging in (kube_login.py) and requests (kube_api.py). Sources, first wins: the config key
kubernetes:kubeconfig (path or contents), $KUBECONFIG (several files), ~/.kube/config, the pod's own service account.
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}
_PATHS = {
    "clusters": ("certificate-authority",),
    "users": ("client-certificate", "client-key", "tokenFile"),
}


class KubeconfigError(Exception):
    """No kubeconfig, or one that leads nowhere; the text is a clause that names the file, `remedy` what to do."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.remedy = remedy


@dataclass(frozen=True)
class Choice:
    """What the stack says: the keys of `kubernetes:`, "" where it says nothing."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""


@dataclass(frozen=True)
class Access:
    """A cluster and a user, as entries of a kubeconfig with absolute paths."""

    source: str
    """for people: which file and context, and by which key that is chosen"""
    cluster: Json
    user: Json
    folder: Path
    """what a plugin's relative command is relative to"""

    @property
    def server(self) -> str:
        """Base URL of the API server."""
        return str(self.cluster["server"]).rstrip("/")


def find(choice: Choice, environment: Mapping[str, str] = os.environ) -> Access:
    """The cluster and user that the stack means. Raises KubeconfigError."""
    content, source, folder = _load(choice.kubeconfig, environment)
    if not any(content[section] for section in _LISTS):
        if (own := _service_account(environment)) is not None and not choice.kubeconfig:
            return own
        raise KubeconfigError(
            f"no kubeconfig is there ({source})",
            "set the environment variable KUBECONFIG or the config key kubernetes:kubeconfig",
        )
    name = choice.context or str(content.get("current-context") or "")
    context = content["contexts"].get(name)
    if context is None:
        cause = (
            f"the kubeconfig ({source}) has no context {name}"
            if name
            else f"{source} sets no current-context"
        )
        raise KubeconfigError(cause, "run `pulumi config set kubernetes:context NAME`")
    wanted = choice.cluster or str(context.get("cluster") or "")
    cluster = content["clusters"].get(wanted) or {}
    if not cluster.get("server"):
        raise KubeconfigError(
            f"the kubeconfig ({source}) has no cluster {wanted or '(without name)'} with a server, which context "
            f"{name} asks for",
            "correct the file, or run `pulumi config set kubernetes:context NAME`",
        )
    user = content["users"].get(str(context.get("user") or ""))
    if user is None and context.get("user"):
        raise KubeconfigError(
            f"the kubeconfig ({source}) has no user {context['user']}, whom context {name} asks for",
            "correct the file, or run `pulumi config set kubernetes:context NAME`",
        )
    return Access(f"{source}, context {name}", cluster, user or {}, folder)


def material(entry: Json, name: str) -> str:
    """PEM text of `name`-data or of the file `name`; "" if neither is set. Raises KubeconfigError."""
    try:
        if data := entry.get(f"{name}-data"):
            return base64.b64decode(str(data), validate=False).decode()
        if path := entry.get(name):
            return Path(str(path)).read_text()
    except (OSError, binascii.Error, UnicodeDecodeError) as error:
        what = f"{name}-data" if entry.get(f"{name}-data") else f"{name} {entry.get(name)}"
        words = getattr(error, "strerror", None) or "not base64 of PEM text"
        raise KubeconfigError(
            f"the kubeconfig's {what} cannot be read ({words})", "correct the kubeconfig"
        ) from None
    return ""


def _load(given: str, environment: Mapping[str, str]) -> tuple[Json, str, Path]:
    """Merged content, where it comes from, and the first file's folder."""
    here = Path.cwd()
    if given:
        path = Path(given).expanduser() if len(given) < 4096 and "\n" not in given else None
        if path is not None and path.is_file():
            return _merged([path]), f"{path}, config key kubernetes:kubeconfig", path.resolve().parent
        content = _parsed(given, "contents of the config key kubernetes:kubeconfig", here)
        if content is None:
            raise KubeconfigError(
                f"the config key kubernetes:kubeconfig holds neither a kubeconfig nor the path of a file ({path})"
                if path
                else "the config key kubernetes:kubeconfig holds no kubeconfig",
                "run `pulumi config set kubernetes:kubeconfig` with one of them",
            )
        return content, "config key kubernetes:kubeconfig", here
    if listed := environment.get("KUBECONFIG", ""):
        paths = [Path(entry).expanduser() for entry in listed.split(os.pathsep) if entry]
        source = f"KUBECONFIG={listed}"
    else:
        paths = [Path(environment.get("HOME") or Path.home()) / ".kube" / "config"]
        source = str(paths[0])
    there = [path for path in paths if path.is_file()]
    return _merged(there), source, (there[0].resolve().parent if there else here)


def _merged(paths: list[Path]) -> Json:
    """Of two entries with the same name, and of two current contexts, the first file's counts."""
    total: Json = {section: {} for section in _LISTS}
    for path in paths:
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            words = getattr(error, "strerror", None) or "not text"
            raise KubeconfigError(
                f"the kubeconfig {path} cannot be read ({words})",
                "correct its permissions, the environment variable KUBECONFIG or the config key kubernetes:kubeconfig",
            ) from None
        content = _parsed(text, str(path), path.resolve().parent)
        if content is None:
            raise KubeconfigError(
                f"{path} is no kubeconfig",
                "correct the file, the environment variable KUBECONFIG or the config key kubernetes:kubeconfig",
            )
        for section in _LISTS:
            total[section] = {**content[section], **total[section]}
        if not total.get("current-context") and content.get("current-context"):
            total["current-context"] = content["current-context"]
    return total


def _parsed(text: str, source: str, folder: Path) -> Json | None:
    """Entries by name, paths made absolute; None if `text` is no kubeconfig. Raises KubeconfigError on bad YAML."""
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise KubeconfigError(f"the kubeconfig ({source}) is not YAML{where}", "correct it") from None
    if document is None:
        document = {}
    if not isinstance(document, dict):
        return None
    content: Json = {"current-context": document.get("current-context")}
    for section, kind in _LISTS.items():
        entries = document.get(section) or []
        if not isinstance(entries, list):
            return None
        named = [entry for entry in entries if isinstance(entry, dict)]
        content[section] = {str(entry.get("name")): dict(entry.get(kind) or {}) for entry in reversed(named)}
        for entry in content[section].values():
            for key in _PATHS.get(section, ()):
                if entry.get(key):
                    entry[key] = str(folder / str(entry[key]))
    return content


class _Loader(yaml.SafeLoader):
    """YAML without times: a name such as 2024-01-01 stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _service_account(environment: Mapping[str, str]) -> Access | None:
    """Access of the pod that this runs in (a CI job in the cluster, say); None outside of one."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not (host and port and (ACCOUNT / "token").is_file()):
        return None
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Access(
        f"service account in {ACCOUNT}",
        {"server": server, "certificate-authority": str(ACCOUNT / "ca.crt")},
        {"tokenFile": str(ACCOUNT / "token")},
        ACCOUNT,
    )
