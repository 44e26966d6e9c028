"""V-IMAGES: the registry takes our account, and every image of the catalogue can be pulled as a node would."""

from __future__ import annotations

import json

from admin.verify.cluster import found, namespaced, secret_value
from admin.verify.context import Context
from admin.verify.model import Failed, Register
from admin.verify.registry import Login, login_of, question
from components.images import CATALOGUE
from components.workspace import PULL_SECRET

check = Register()
CONFIG = ".dockerconfigjson"


@check("V-IMAGES-01", "the registry answers and takes the stack's account")
def registry(context: Context) -> str:
    """The registry API's own front door, which asks for a login."""
    name, user = context.settings.registry, context.settings.harbor_robot_username
    password = context.secret("harbor_robot_token")
    if not password:
        raise Failed(
            "There is no harbor_robot_token in the stack or the environment.",
            "Run `pulumi config set --secret harbor_robot_token`.",
        )
    status = question(context, "GET", name, "", Login(user, password)).status_code
    if status in (401, 403):
        raise Failed(
            f"Registry {name} refuses {user} (HTTP {status}).",
            "Set harbor_robot_username and harbor_robot_token.",
        )
    if status != 200:
        raise Failed(
            f"Registry {name} answers HTTP {status}.",
            "See its log, and that harbor_registry names a registry.",
        )
    return f"{name} as {user}"


@check("V-IMAGES-03", "the namespace has the pull Secret with the stack's account", "V-API-02")
def pull_secret(context: Context) -> str:
    """What kubelet pulls with."""
    up = "Run `pulumi up --refresh`."
    secret = found(
        context.cluster, namespaced(context.namespace, "secrets", PULL_SECRET), f"Secret {PULL_SECRET}", up
    )
    config, name = secret_value(secret, CONFIG), context.settings.registry
    try:
        login = login_of(config, name)
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"Secret {PULL_SECRET} holds no readable {CONFIG}.", up) from error
    if login is None:
        raise Failed(f"Secret {PULL_SECRET} has no account for {name}.", up)
    user = context.settings.harbor_robot_username
    if login.username != user or login.password != context.secret("harbor_robot_token"):
        raise Failed(f"Secret {PULL_SECRET} has another account or password than the stack's {user}.", up)
    context.notes["pull-config"] = config
    return f"Secret {PULL_SECRET}: {user} at {name}"


@check("V-IMAGES-02", "every image of the catalogue can be pulled by its digest", "V-IMAGES-03")
def pulls(context: Context) -> str:
    """HEAD of each manifest with the account of the pull Secret, as the nodes' runtime has it."""
    up = "Run `pulumi up --refresh`."
    path = namespaced(context.namespace, "configmaps", CATALOGUE)
    catalogue = found(context.cluster, path, f"ConfigMap {CATALOGUE}", up)
    try:
        images = json.loads((catalogue.get("data") or {})["manifest.json"])["images"]
        entries = [(entry["registry"], entry["repository"], entry["metadata"]["digest"]) for entry in images]
    except (KeyError, TypeError, ValueError) as error:
        raise Failed(f"ConfigMap {CATALOGUE} holds no readable manifest.json ({error!r}).", up) from error
    if not entries:
        raise Failed(f"ConfigMap {CATALOGUE} lists no image.", up)
    config = str(context.notes["pull-config"])
    faults = []
    for host, repository, digest in entries:
        key = "harbor_registry" if host == context.settings.registry else "images.prebuilt"
        answer = question(
            context, "HEAD", host, f"{repository}/manifests/{digest}", login_of(config, host), key
        )
        if answer.status_code == 404:
            faults.append(f"{host}/{repository}@{digest} is not there")
        elif answer.status_code != 200:
            faults.append(f"{host}/{repository}@{digest}: HTTP {answer.status_code}")
        elif answer.headers.get("Docker-Content-Digest", digest) != digest:
            faults.append(f"{host}/{repository}@{digest}: the registry has another digest for it")
    if faults:
        raise Failed(
            f"Images that cannot be pulled: {'; '.join(faults)}.",
            "Built images: run `pulumi up --target-replace` on the docker.Image, or push the tag again; prebuilt: mend "
            "images.prebuilt. HTTP 401 or 403: give the account of harbor_robot_username the right to pull.",
            f"{len(entries) - len(faults)} of {len(entries)}",
        )
    return ", ".join(f"{repository}@{digest[:19]}" for _, repository, digest in entries)
