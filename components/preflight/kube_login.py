"""How a kubeconfig's user logs in: certificate, token, token file, password, or a program that gives one of them.

Owns the TLS context, the headers of each request, and the protocol of credential plugins
(https://kubernetes.io/docs/reference/config-api/client-authentication.v1/). Leaves alone: which user (kubeconfig.py).
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.preflight.kubeconfig import Access, Json, KubeconfigError, material
from components.preflight.web import Deadline, basic, trust

PLUGIN_SECONDS = 10.0
"""A plugin's time: cold ones of cloud providers take three; one that waits for a person never ends."""
_API = "client.authentication.k8s.io/"


@dataclass(frozen=True)
class Login:
    """What each request carries."""

    context: ssl.SSLContext | None
    """None for plain http"""
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class _Credential:
    token: str = field(default="", repr=False)
    certificate: str = ""
    key: str = field(default="", repr=False)


def log_in(access: Access, deadline: Deadline) -> Login:
    """Everything that requests as this user need; runs the user's plugin, if there is one. Raises KubeconfigError.

    A plugin has a time of its own, after which `deadline` starts anew.
    """
    user = access.user
    credential = _credential(access, deadline)
    context = _tls(access, credential) if access.server.startswith("https:") else None
    headers = {"Accept": "application/json"}
    if credential.token:
        headers["Authorization"] = f"Bearer {credential.token}"
    elif user.get("username"):
        headers |= basic(user["username"], user.get("password", ""))
    if user.get("as"):
        headers["Impersonate-User"] = str(user["as"])
        for group in (user.get("as-groups") or [])[:1]:  # one header each, and urllib knows no repeated ones
            headers["Impersonate-Group"] = str(group)
    return Login(context, headers)


def _credential(access: Access, deadline: Deadline) -> _Credential:
    """Certificate and token of the user. As client-go has it: a token file wins over a token, both over a plugin."""
    user = access.user
    certificate, key = material(user, "client-certificate"), material(user, "client-key")
    token = str(user.get("token") or "")
    if user.get("tokenFile"):
        try:
            token = Path(str(user["tokenFile"])).read_text().strip()
        except OSError as error:
            raise KubeconfigError(
                f"the token file {user['tokenFile']} cannot be read ({error.strerror})",
                "correct the kubeconfig",
            ) from None
    if not token and isinstance(user.get("exec"), dict):
        deadline.restart(PLUGIN_SECONDS)
        made = _plugin(access, user["exec"])
        deadline.restart()
        return _Credential(made.token, made.certificate or certificate, made.key or key)
    if not token and isinstance(user.get("auth-provider"), dict):
        # the retired way: kubectl renews the token in the file, here it is only read
        token = str((user["auth-provider"].get("config") or {}).get("id-token") or "")
    return _Credential(token, certificate, key)


def _plugin(access: Access, plugin: Json) -> _Credential:
    """Run a credential plugin, never with a terminal: neither Pulumi's preview nor CI has one."""
    command = str(plugin.get("command") or "")
    if plugin.get("interactiveMode") == "Always":
        raise KubeconfigError(
            f"the login of {access.source} runs {command}, which asks on a terminal",
            "log in another way (interactiveMode other than Always)",
        )
    if "/" in command:
        command = str(access.folder / command)
    request: Json = {
        "apiVersion": plugin.get("apiVersion"),
        "kind": "ExecCredential",
        "spec": {"interactive": False, **_cluster_info(access, plugin)},
    }
    environment = {
        **os.environ,
        **{str(entry["name"]): str(entry.get("value") or "") for entry in plugin.get("env") or []},
        "KUBERNETES_EXEC_INFO": json.dumps(request),
    }
    try:
        done = subprocess.run(
            [command, *map(str, plugin.get("args") or [])],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PLUGIN_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _plugin_error(command, f"does not end within {PLUGIN_SECONDS:.0f} s", plugin) from None
    except OSError as error:
        raise _plugin_error(command, f"cannot be run ({error.strerror})", plugin) from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        last = f": {lines[-1][:200]}" if lines else ""
        raise _plugin_error(command, f"ends with code {done.returncode}{last}", plugin)
    try:
        answer: Any = json.loads(done.stdout)
        status = answer["status"]
        if not str(answer["apiVersion"]).startswith(_API) or answer["kind"] != "ExecCredential":
            raise ValueError
        made = _Credential(
            str(status.get("token") or ""),
            str(status.get("clientCertificateData") or ""),
            str(status.get("clientKeyData") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _plugin_error(command, "prints no ExecCredential with a status", plugin) from None
    return made


def _cluster_info(access: Access, plugin: Json) -> Json:
    if not plugin.get("provideClusterInfo"):
        return {}
    cluster = access.cluster
    info: Json = {"server": cluster["server"]}
    for name in ("tls-server-name", "insecure-skip-tls-verify", "proxy-url"):
        if cluster.get(name):
            info[name] = cluster[name]
    if ca := material(cluster, "certificate-authority"):
        info["certificate-authority-data"] = base64.b64encode(ca.encode()).decode()
    return {"cluster": info}


def _plugin_error(command: str, fault: str, plugin: Json) -> KubeconfigError:
    hint = " ".join(str(plugin.get("installHint") or "").split())
    return KubeconfigError(
        f"the login program {command} of the kubeconfig {fault}",
        hint or "log in with it by hand, then try again",
    )


def _tls(access: Access, credential: _Credential) -> ssl.SSLContext:
    ca = material(access.cluster, "certificate-authority")
    skip = access.cluster.get("insecure-skip-tls-verify") is True
    if ca and skip:  # client-go refuses it too
        raise KubeconfigError(
            f"the kubeconfig ({access.source}) has both a certificate-authority and insecure-skip-tls-verify",
            "take one of them out",
        )
    try:
        context = trust(ca, system=not ca)
    except ValueError as error:
        raise KubeconfigError(
            f"the certificate-authority of the kubeconfig ({access.source}): {error}",
            "correct the kubeconfig",
        ) from None
    if skip:  # the admin's own kubeconfig says so, and the provider does it too
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if credential.certificate and credential.key:
        _present(context, access, credential)
    return context


def _present(context: ssl.SSLContext, access: Access, credential: _Credential) -> None:
    # OpenSSL takes files only; the folder is ours alone (0700) and gone at once
    with tempfile.TemporaryDirectory(prefix="thinkube-login-") as folder:
        pair = Path(folder) / "pair.pem"
        pair.touch(mode=0o600)
        pair.write_text(f"{credential.certificate}\n{credential.key}")
        try:
            context.load_cert_chain(pair)
        except (ssl.SSLError, OSError):
            raise KubeconfigError(
                f"the client certificate and key of the kubeconfig ({access.source}) do not fit together",
                "correct the kubeconfig",
            ) from None
