"""What users would notice, by recorded previews and by single steps."""

from __future__ import annotations

import pytest

from admin.review.impact import CLAIM, CLIENT, CONFIG_MAP, GROUP, NAMESPACE, REALM, RELEASE, Weight, notices
from admin.review.model import Preview
from admin.review.quantity import shrinks
from tests.unit.admin.review.builders import read, recorded, step


def told(preview: Preview, weight: Weight | None = None) -> str:
    return "\n".join(notice.text for notice in notices(preview) if weight in (None, notice.weight))


def test_nothing_is_noticed_of_a_quiet_preview() -> None:
    assert notices(recorded("none")) == []


def test_profile_code_restarts_the_hub_and_names_the_file() -> None:
    text = told(recorded("code"))
    assert "**Hub restart**, caused by profile code (<code>rules.py</code>)." in text
    assert "Running notebooks and kernels go on" in text
    assert "Proxy restart" not in text


def test_values_restart_the_hub_and_are_named() -> None:
    text = told(recorded("cull"))
    assert "**Hub restart**, caused by value <code>cull.every</code>, value <code>cull.timeout</code>" in text
    assert "<code>7200</code> → <code>1800</code>" in text


def test_an_image_is_built_and_the_hub_stays() -> None:
    text = told(recorded("image"))
    assert "**Image <code>tk-jupyter-scipy</code> is built and pushed** (files of its folder changed" in text
    assert "**New default image at the next start**: <code>tk-jupyter-scipy</code>" in text
    assert "Hub restart" not in text


def test_storage_that_grows_loses_nothing() -> None:
    text = told(recorded("size"))
    assert "**Storage grows**: claim <code>jupyter-notebooks-pvc</code>" in text
    assert told(recorded("size"), Weight.DANGER) == ""


def test_a_destroy_names_what_is_kept_and_warns_of_the_rest() -> None:
    preview = recorded("destroy")
    kept = next(text for text in told(preview).splitlines() if text.startswith("**Kept**"))
    assert "claim <code>jupyter-notebooks-pvc</code>" in kept
    assert "namespace <code>jupyterhub-dev</code>" in kept
    assert "DATA LOSS" not in told(preview)
    assert "**The hub is removed**" in told(preview, Weight.DANGER)
    assert "<code>jupyter&#95;admin</code> is deleted" in told(preview, Weight.DANGER)


@pytest.mark.parametrize(
    ("kind", "op", "retained", "sentence"),
    [
        (CLAIM, "delete", False, "**DATA LOSS: claim"),
        (CLAIM, "replace", False, "**DATA LOSS: claim"),
        (NAMESPACE, "delete", False, "**DATA LOSS: namespace"),
        (CLAIM, "replace", True, "is replaced**"),
        (REALM, "delete", False, "**DATA LOSS: the Keycloak realm"),
        (REALM, "replace", False, "**DATA LOSS: the Keycloak realm"),
        (GROUP, "delete", False, "members lose"),
        (CLIENT, "delete", False, "nobody can log in"),
        (RELEASE, "replace", False, "its database is lost"),
    ],
)
def test_what_loses_data_or_accounts_is_loud(kind: str, op: str, retained: bool, sentence: str) -> None:
    new = {"a": 2} if op == "replace" else None
    preview = read(step(op, kind, old={"a": 1}, new=new, replaces=["a"], retained=retained))
    assert sentence in told(preview, Weight.DANGER)


@pytest.mark.parametrize("kind", [CLAIM, NAMESPACE, REALM, GROUP])
def test_what_is_kept_is_not_called_lost(kind: str) -> None:
    preview = read(step("delete", kind, old={"metadata": {"name": "x"}}, retained=True))
    assert told(preview, Weight.DANGER) == ""
    assert "**Kept**" in told(preview)


@pytest.mark.parametrize(
    ("path", "hub", "proxy"),
    [
        ("values.hub.config.JupyterHub.x", True, False),
        ("values.singleuser.memory.limit", True, False),
        ("values.ingress.annotations.x", True, False),
        ("values.proxy.chp.resources.requests.cpu", True, True),
        ("values.proxy.service.type", True, False),
        ("values.scheduling.corePods.x", True, True),
        ("version", True, True),
        ("chart", True, True),
        ("timeout", False, False),
        ("values", True, True),
    ],
)
def test_what_restarts_hub_and_proxy(path: str, hub: bool, proxy: bool) -> None:
    """By the chart's templates: the hub's pod has a checksum over all values, the proxy's has none."""
    text = told(read(step("update", RELEASE, old={}, new={}, diff=[path])))
    assert ("**Hub restart**" in text) is hub
    assert ("**Proxy restart**" in text) is proxy


def test_a_rotated_client_secret_is_the_cause() -> None:
    path = 'values.hub.annotations["thinkube.io/oidc-secret-digest"]'
    text = told(read(step("update", RELEASE, old={}, new={}, diff=[path])))
    assert "caused by the Keycloak client's secret" in text


def test_a_new_default_image_by_configuration() -> None:
    def values(name: str) -> dict[str, object]:
        return {"values": {"custom": {"thinkube": {"defaultImage": name}}}}

    catalogue = step(
        "update", CONFIG_MAP, "images-catalogue", component="images", old={}, new={}, diff=["data"]
    )
    release = step(
        "update", RELEASE, old=values("one"), new=values("two"), diff=["values.custom.thinkube.defaultImage"]
    )
    assert "New default image at the next start**: <code>two</code>" in told(read(catalogue, release))


def test_mounts_change_at_the_next_start() -> None:
    path = "values.singleuser.storage.extraVolumes[1].persistentVolumeClaim.claimName"
    text = told(read(step("update", RELEASE, old={}, new={}, diff=[path])))
    assert "**Mounts of notebooks change**" in text


def test_a_volume_that_points_elsewhere_is_loud() -> None:
    old, new = {"spec": {"hostPath": {"path": "/a"}}}, {"spec": {"hostPath": {"path": "/b"}}}
    volume = step(
        "update", "kubernetes:core/v1:PersistentVolume", old=old, new=new, diff=["spec.hostPath.path"]
    )
    assert "points elsewhere" in told(read(volume), Weight.DANGER)


@pytest.mark.parametrize(
    ("old", "new", "smaller"),
    [
        ("20Gi", "200Gi", False),
        ("1Ti", "1000Gi", True),
        ("1Gi", "1G", True),
        ("100", "1k", False),
        ("1Ki", "1k", True),
        ("1.5Gi", "1Gi", True),
        ("what", "1Gi", False),
        (None, "1Gi", False),
    ],
)
def test_sizes(old: str | None, new: str, smaller: bool) -> None:
    assert shrinks(old, new) is smaller


def test_a_claim_that_shrinks_is_loud() -> None:
    def claim(size: str) -> dict[str, object]:
        return {"spec": {"resources": {"requests": {"storage": size}}}}

    shrunk = step(
        "update", CLAIM, old=claim("20Gi"), new=claim("2Gi"), diff=["spec.resources.requests.storage"]
    )
    assert "refuses to shrink" in told(read(shrunk), Weight.DANGER)
