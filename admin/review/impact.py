"""What users would notice of an update: rules from changed resources to sentences. Pure.

The rules know what this program deploys, and how zero-to-jupyterhub rolls it: the hub's pod template carries a
checksum over *all* values (its Secret `hub` holds them), so any change of values restarts the hub; the proxy's carries
none, so that it restarts only for what shapes its own pod.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from admin.review.model import Preview, Property, Step
from admin.review.paths import ABSENT, at
from admin.review.quantity import shrinks
from admin.review.text import code, count, escape, listed, value

RELEASE = "kubernetes:helm.sh/v3:Release"
IMAGE = "docker:index/image:Image"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 (a type)
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
VOLUME = "kubernetes:core/v1:PersistentVolume"
NAMESPACE = "kubernetes:core/v1:Namespace"
REALM = "keycloak:index/realm:Realm"
GROUP = "keycloak:index/group:Group"
CLIENT = "keycloak:openid/client:Client"
DATA = {CLAIM: "claim", VOLUME: "volume", NAMESPACE: "namespace"}

PROFILES = "ProfileCode"  # the components that rules ask for
CATALOGUE = "images-catalogue"

_CHART = ("chart", "version", "repositoryOpts", "checksum")
_NO_PODS = (
    "timeout",
    "atomic",
    "maxHistory",
    "status",
    "resourceNames",
    "manifest",
    "waitForJobs",
    "skipAwait",
)
# what shapes the proxy's pod: templates/proxy/deployment.yaml of the chart
_PROXY = (("proxy",), ("scheduling", "corePods"), ("scheduling", "podPriority"), ("imagePullSecrets",))
_PROXY_SERVICE = ("proxy", "service")


class Weight(IntEnum):
    """How loud a notice is."""

    DANGER = 0
    """data or accounts are lost, or users are locked out"""
    NOTICE = 1
    """users see something of it"""
    QUIET = 2
    """good to know"""


@dataclass(frozen=True)
class Notice:
    """One sentence, in Markdown."""

    weight: Weight
    text: str


def notices(preview: Preview) -> list[Notice]:
    """Return what users and admins would notice, the loudest first."""
    found = [notice for rule in _RULES for notice in rule(preview.steps)]
    return sorted(dict.fromkeys(found), key=lambda notice: notice.weight)


def hub_causes(steps: Sequence[Step]) -> list[str]:
    """Return why the hub would restart, as Markdown; empty if it would not."""
    causes: list[str] = []
    for release in _of(steps, RELEASE):
        if release.op == "update":
            causes += [cause for change in release.properties if (cause := _cause(change, steps))]
    return list(dict.fromkeys(causes))


def _cause(change: Property, steps: Sequence[Step]) -> str:
    """Why one changed property of the release restarts the hub; "" if it does not."""
    head, rest = str(change.path[0]), tuple(map(str, change.path[1:]))
    if head in _CHART:
        return f"chart ({escape(change.name)} {value(change.old)} → {value(change.new)})"
    if head in _NO_PODS:
        return ""
    if head == "values" and rest[:2] == ("hub", "extraVolumes") and rest[-2:] == ("configMap", "name"):
        files = [
            str(item.path[-1])
            for step in steps
            if step.component == PROFILES
            for item in step.properties
            if item.path[0] == "data" and len(item.path) > 1
        ]
        return f"profile code ({listed([code(name) for name in files])})" if files else "profile code"
    if head == "values" and rest[:2] == ("hub", "annotations"):
        if "oidc" in rest[-1]:
            return "the Keycloak client's secret"
        if "ca-bundle" in rest[-1]:
            return "CA bundle"
    return f"value {code('.'.join(rest))}" if head == "values" and rest else f"{code(change.name)}"


def _hub(steps: Sequence[Step]) -> Iterator[Notice]:
    for release in _of(steps, RELEASE):
        name = code(release.name)
        if release.op in ("create", "import"):
            yield Notice(Weight.NOTICE, f"**The hub is set up** (release {name}); nobody has one before.")
        elif release.op == "delete":
            yield Notice(
                Weight.DANGER,
                f"**The hub is removed** (release {name}), and with it the claim of its own database: who is logged "
                "in and which servers run is forgotten. Notebooks that run go on without a hub. "
                "Users' files are not in it.",
            )
        elif release.op == "replace":
            yield Notice(
                Weight.DANGER,
                f"**The hub is taken down and set up again** (release {name}, because of "
                f"{listed([code(reason) for reason in release.reasons]) or 'its identity'}): its database is lost, "
                "notebooks that run are orphaned. Users' files are not in it.",
            )
    causes = hub_causes(steps)
    if causes:
        yield Notice(
            Weight.NOTICE,
            f"**Hub restart**, caused by {listed(causes)}. Running notebooks and kernels go on, logged-in users stay "
            "logged in; logins and starts are not possible for some seconds.",
        )


def _proxy(steps: Sequence[Step]) -> Iterator[Notice]:
    causes = []
    for change in _release_values(steps):
        rest = tuple(map(str, change.path[1:]))
        touches = not rest or any(rest[: len(part)] == part for part in _PROXY)
        if touches and rest[:2] != _PROXY_SERVICE:
            causes.append(f"value {code('.'.join(rest))}" if rest else "all values")
    chart = [
        change
        for release in _of(steps, RELEASE)
        if release.op == "update"
        for change in release.properties
        if change.path[0] in _CHART
    ]
    if causes or chart:
        why = listed(causes or ["the chart"])
        yield Notice(
            Weight.NOTICE,
            f"**Proxy restart**{'' if causes else ' likely'}, caused by {why}: connections of all users break for "
            "seconds. Kernels go on and JupyterLab reconnects by itself.",
        )


def _servers(steps: Sequence[Step]) -> Iterator[Notice]:
    values = [change for change in _release_values(steps) if tuple(change.path[1:2]) == ("singleuser",)]
    mounts = [change for change in values if change.path[2:3] == ("storage",)]
    others = [change for change in values if change not in mounts]
    if mounts:
        yield Notice(
            Weight.NOTICE,
            "**Mounts of notebooks change** "
            f"({listed([f'{code(item.name)} {value(item.old)} → {value(item.new)}' for item in mounts], 3)}): "
            "from each user's next start on; running notebooks keep what they have.",
        )
    if others:
        yield Notice(
            Weight.NOTICE,
            f"**Notebooks started from then on** differ in {listed([code(item.name) for item in others])}; "
            "running ones stay as they are.",
        )
    for change in _release_values(steps):
        rest = tuple(map(str, change.path[1:]))
        if rest[:1] == ("cull",):
            yield Notice(
                Weight.NOTICE,
                f"**Idle notebooks are stopped by another rule**: {code('.'.join(rest))} "
                f"{value(change.old)} → {value(change.new)} (seconds).",
            )
        elif rest[:3] == ("custom", "thinkube", "profiles"):
            yield Notice(
                Weight.NOTICE,
                f"**Sizes on the spawn page change** ({code('.'.join(rest[2:]))}), for starts from then on.",
            )
        elif rest[:1] == ("ingress",):
            yield Notice(Weight.NOTICE, f"**The hub's address or TLS** changes: {code('.'.join(rest))}.")


def _images(steps: Sequence[Step]) -> Iterator[Notice]:
    for image in _of(steps, IMAGE):
        name = code(_repository(image))
        if image.op == "delete":
            yield Notice(
                Weight.NOTICE,
                f"**Image {name} leaves the catalogue**: users can no longer pick it. Its tags stay in the registry, "
                "running notebooks go on.",
            )
        else:
            yield Notice(
                Weight.NOTICE,
                f"**Image {name} is built and pushed** ({_why_built(image)}): takes minutes and touches nothing that "
                "runs. Running notebooks keep the image they have.",
            )
    for catalogue in (step for step in steps if step.name == CATALOGUE and step.op != "delete"):
        yield from _default_image(catalogue, steps)


def _repository(image: Step) -> str:
    """The image's own name: `tk-jupyter-scipy` of `registry/project/tk-jupyter-scipy:tag`."""
    reference = (image.new or image.old).get("imageName")
    if not isinstance(reference, str):
        return image.name
    return reference.rpartition("/")[2].partition(":")[0]


def _why_built(image: Step) -> str:
    if image.op == "create":
        return "it is new"
    words = []
    for change in image.properties:
        path = tuple(map(str, change.path))
        if path[:2] == ("build", "contextDigest"):
            words.append("files of its folder changed")
        elif path == ("build", "args", "BASE"):
            words.append("its base changed")
        elif path[:2] == ("build", "args"):
            words.append(f"build argument {code(path[-1])} changed")
        elif path[:1] == ("imageName",):
            words.append(f"tag {value(_tag(change.old))} → {value(_tag(change.new))}")
        else:
            words.append(f"{code(change.name)} changed")
    return listed(list(dict.fromkeys(words))) or "the engine gives no reason"


def _tag(reference: Any) -> Any:
    return reference.rpartition(":")[2] if isinstance(reference, str) else reference


def _default_image(catalogue: Step, steps: Sequence[Step]) -> Iterator[Notice]:
    before, after = (_default(tree) for tree in (catalogue.old, catalogue.new))
    chosen = [item for item in _release_values(steps) if item.path[-1:] == ("defaultImage",)]
    built = {
        step.name.removeprefix("images-") for step in _of(steps, IMAGE) if step.op in ("create", "update")
    }
    name = str(chosen[0].new) if chosen else (after or before or {}).get("name", "")
    if after is None and not chosen and before is not None and name not in built:
        return  # only others change
    if before is not None and before == after and not chosen:
        return
    seen = f"**New default image at the next start**: {code(str(name))}" if name else "**New default image**"
    if before and after and before.get("name") == after.get("name"):
        seen += f", {value(before.get('tag', ABSENT))} → {value(after.get('tag', ABSENT))}"
    yield Notice(Weight.NOTICE, f"{seen}. The hub reads it live and is not restarted for it.")


def _default(tree: Any) -> dict[str, Any] | None:
    """Name, tag and digest of the catalogue's default; None while the update is to make it."""
    text = at(tree, ("data", "manifest.json"))
    try:
        entries = json.loads(text)["images"] if isinstance(text, str) else []
        for entry in entries:
            if entry["metadata"].get("default"):
                return {"name": entry["name"], "tag": entry["tag"], "digest": entry["metadata"].get("digest")}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def _kept(steps: Sequence[Step]) -> Iterator[Notice]:
    kept = [f"{DATA.get(step.type, step.kind)} {code(step.object_name)}" for step in steps if _leaves(step)]
    if kept:
        yield Notice(
            Weight.NOTICE,
            f"**Kept** in the cluster with all that is in them, but no longer in the stack: {listed(kept, 12)}.",
        )


def _leaves(step: Step) -> bool:
    return step.op == "delete" and step.kept


def _data(steps: Sequence[Step]) -> Iterator[Notice]:
    for step in steps:
        if step.type not in DATA:
            continue
        what = f"{DATA[step.type]} {code(step.object_name)}"
        if step.op == "delete":
            if not step.kept:
                yield Notice(Weight.DANGER, f"**DATA LOSS: {what} is deleted**, with all that is in it.")
        elif step.op == "replace":
            why = listed([code(reason) for reason in step.reasons]) or "its identity"
            if step.kept:
                yield Notice(
                    Weight.DANGER,
                    f"**{what} is replaced** (because of {why}): users get another one; the old one stays in the "
                    "cluster with its files and is no longer mounted.",
                )
            else:
                yield Notice(
                    Weight.DANGER,
                    f"**DATA LOSS: {what} is deleted and made anew** (because of {why}), with all that is in it.",
                )
        elif step.op in ("create", "import"):
            yield Notice(
                Weight.QUIET, f"New {what}; one that is there already is taken over with what is in it."
            )
        else:
            yield from _data_update(step, what)


def _data_update(step: Step, what: str) -> Iterator[Notice]:
    for change in step.properties:
        if change.path[-1] == "storage":
            words = f"{what}: {value(change.old)} → {value(change.new)}"
            if shrinks(change.old, change.new):
                yield Notice(
                    Weight.DANGER, f"**{words} is smaller**: Kubernetes refuses to shrink a bound claim."
                )
            else:
                yield Notice(Weight.NOTICE, f"**Storage grows**: {words}. Files stay.")
        elif change.path[:2] in (("spec", "csi"), ("spec", "hostPath"), ("spec", "nfs")):
            yield Notice(
                Weight.DANGER,
                f"**{what} points elsewhere** ({code(change.name)} {value(change.old)} → {value(change.new)}): "
                "users would not see the files they have.",
            )
        elif change.path[:2] == ("metadata", "labels") and "pod-security" in str(change.path[-1]):
            yield Notice(
                Weight.NOTICE,
                f"**Pod Security** of {what}: {value(change.old)} → {value(change.new)}, "
                "for pods started from then on.",
            )


def _identity(steps: Sequence[Step]) -> Iterator[Notice]:
    for step in steps:
        gone = step.op in ("delete", "replace") and not step.kept
        if step.type == REALM and gone:
            yield Notice(
                Weight.DANGER,
                f"**DATA LOSS: the Keycloak realm {code(step.name)} is deleted**"
                f"{' and made anew' if step.op == 'replace' else ''}, with all its users, passwords and groups.",
            )
        elif step.type == GROUP and gone:
            yield Notice(
                Weight.DANGER,
                f"**The Keycloak group {code(_group(step))} is deleted**: its members lose what it gives them.",
            )
        elif step.type == GROUP and step.op == "create":
            yield Notice(Weight.QUIET, f"New Keycloak group {code(_group(step))}, without members.")
        elif step.type == CLIENT and step.op == "replace":
            yield Notice(
                Weight.NOTICE,
                "**The Keycloak client is made anew** with a new secret: logins fail until the hub has restarted; "
                "who is logged in stays so until its token is to be refreshed.",
            )
        elif step.type == CLIENT and step.op == "delete" and gone:
            yield Notice(Weight.DANGER, "**The Keycloak client is deleted**: nobody can log in any more.")
        elif step.type == CLIENT and step.op == "update":
            names = listed([code(change.name) for change in step.properties])
            yield Notice(Weight.NOTICE, f"**Logins**: the Keycloak client changes in {names}.")
        elif (
            step.type.startswith("keycloak:") and step.op in ("update", "replace", "delete") and not step.kept
        ):
            yield Notice(
                Weight.NOTICE,
                f"**Logins**: {escape(step.kind)} {code(step.name)} changes; rights come from it.",
            )


def _group(step: Step) -> str:
    name = (step.new or step.old).get("name")
    return name if isinstance(name, str) else step.name


def _others(steps: Sequence[Step]) -> Iterator[Notice]:
    for step in steps:
        if step.type.startswith("pulumi:providers:") and step.op == "replace":
            yield Notice(
                Weight.DANGER,
                f"**The provider {code(step.name)} is replaced** "
                f"({listed([code(reason) for reason in step.reasons]) or 'no reason given'}): the stack would work on "
                "another cluster or service. All that hangs on it is made anew.",
            )
        elif step.type == SECRET and step.op in ("update", "replace"):
            yield Notice(Weight.QUIET, f"Secret {code(step.object_name)} changes (contents are not shown).")
        elif step.kind in ("Job", "CronJob") and step.op in ("create", "replace", "update"):
            verb = "is set" if step.kind == "CronJob" else "runs" if step.op == "create" else "runs again"
            yield Notice(Weight.QUIET, f"{step.kind} {code(step.name)} {verb}.")


def summary(preview: Preview) -> list[str]:
    """Return the few words that belong into the first line."""
    words = []
    if hub_causes(preview.steps):
        words.append("the hub restarts")
    built = [step for step in _of(preview.steps, IMAGE) if step.op != "delete"]
    if built:
        words.append(f"{count(len(built), 'image')} built")
    if any(notice.weight is Weight.DANGER for notice in notices(preview)):
        words.append("**dangerous, see below**")
    return words


def _release_values(steps: Sequence[Step]) -> list[Property]:
    return [
        change
        for release in _of(steps, RELEASE)
        if release.op == "update"
        for change in release.properties
        if change.path[0] == "values"
    ]


def _of(steps: Sequence[Step], kind: str) -> list[Step]:
    return [step for step in steps if step.type == kind]


_RULES = (_data, _kept, _identity, _hub, _proxy, _servers, _images, _others)
