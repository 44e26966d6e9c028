"""No secret's plain text is ever in a report."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.review.impact import SECRET
from admin.review.model import read_preview
from admin.review.page import page
from admin.review.secrecy import OUTPUT_SIGNATURE, SECRET_SIGNATURE, SIGNATURE, UNKNOWNS, Hidden, Scrubber
from tests.unit.admin.review.builders import preview_of, read, recorded, step

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
PLAIN = "hunter2-must-not-show"


def report(
    old: Any, new: Any, diff: list[str], *, kind: str = CONFIG_MAP, secrets: list[str] | None = None
) -> str:
    return page(read(step("update", kind, old=old, new=new, diff=diff), secrets=secrets or []))


@pytest.mark.parametrize(
    "marked",
    [
        {SIGNATURE: SECRET_SIGNATURE, "ciphertext": "v1:abc"},
        {SIGNATURE: SECRET_SIGNATURE, "plaintext": json.dumps(PLAIN)},
        {SIGNATURE: SECRET_SIGNATURE, "value": PLAIN},
        {SIGNATURE: OUTPUT_SIGNATURE, "value": PLAIN, "secret": True},
        "[secret]",
    ],
)
@pytest.mark.parametrize("path", ["data.x", "data"])
def test_what_the_engine_marks_is_masked(marked: Any, path: str) -> None:
    text = report({"data": {"x": "before"}}, {"data": {"x": marked}}, [path])
    assert PLAIN not in text
    assert "v1:abc" not in text
    assert "secret" in text


def test_inside_of_a_marked_object_nothing_is_looked_up() -> None:
    marked = {SIGNATURE: SECRET_SIGNATURE, "value": {"x": PLAIN}}
    assert PLAIN not in report({"data": marked}, {"data": marked}, ["data.x"])


@pytest.mark.parametrize(
    "name",
    ["password", "clientSecret", "client_secret", "token", "robot_token", "tls.key", ".dockerconfigjson"],
)
def test_what_has_a_secrets_name_is_masked(name: str) -> None:
    text = report({"data": {name: PLAIN}}, {"data": {name: PLAIN + "2"}}, [f'data["{name}"]'])
    assert PLAIN not in text
    assert "secret, not shown" in text


def test_names_that_only_look_like_secrets_are_shown() -> None:
    text = report({"data": {"secretName": "one"}}, {"data": {"secretName": "two"}}, ["data.secretName"])
    assert "<code>one</code> → <code>two</code>" in text


def test_an_environment_variable_is_masked_by_its_name() -> None:
    def pod(secret: str) -> dict[str, Any]:
        return {
            "spec": {
                "env": [{"name": "CONTROL_TOKEN", "value": secret}, {"name": "URL", "value": "http://x"}]
            }
        }

    text = report(pod(PLAIN), pod(PLAIN + "2"), ["spec.env[0].value"])
    assert PLAIN not in text


@pytest.mark.parametrize("part", ["data", "stringData"])
def test_a_kubernetes_secret_shows_its_keys_only(part: str) -> None:
    text = report(
        {part: {"harmless": PLAIN}}, {part: {"harmless": PLAIN + "2"}}, [f"{part}.harmless"], kind=SECRET
    )
    assert PLAIN not in text
    assert "harmless" in text


@pytest.mark.parametrize(
    "hidden",
    [
        PLAIN,
        f"prefix-{PLAIN}-suffix",
        base64.b64encode(PLAIN.encode()).decode(),
        base64.b64encode(f"robot:{PLAIN}".encode()).decode(),
        base64.b64encode(f"xy{PLAIN}z".encode()).decode(),
        json.dumps({"inner": PLAIN}),
        f"https://host/?token={PLAIN}",
    ],
)
def test_known_secrets_are_found_in_any_text(hidden: str) -> None:
    diagnostics = [{"severity": "error", "message": f"error: it says {hidden}"}]
    changed = step(
        "update", CONFIG_MAP, old={"data": {"x": "a"}}, new={"data": {"x": hidden}}, diff=["data.x"]
    )
    text = page(read_preview(preview_of(changed, diagnostics=diagnostics), "dev", Scrubber([PLAIN])))
    assert PLAIN not in text
    assert hidden not in text
    core = base64.b64encode(PLAIN.encode()).decode().rstrip("=")[:-2]
    assert core not in text


@settings(max_examples=200, deadline=None)
@given(
    secret=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=8, max_size=40),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_a_known_secret_is_in_no_base64_of_a_text_that_holds_it(secret: str, before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}{secret}{after}".encode(errors="surrogatepass")).decode()
    clean = Scrubber([secret]).text(encoded)
    assert clean != encoded
    assert secret not in Scrubber([secret]).text(before + secret + after).replace(Hidden.SECRET.value, "")


def test_every_line_of_a_private_key_is_masked() -> None:
    lines = [f"{number:02d}" + "MIIBVQIBADANBgkqhkiG9w0" for number in range(4)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    text = report(
        {"data": {"x": "a"}}, {"data": {"x": f"some\n{lines[1]}\n{lines[2]}"}}, ["data.x"], secrets=[key]
    )
    assert lines[1] not in text
    unknown = report({"data": {"x": "a"}}, {"data": {"x": key}}, ["data.x"])  # one that nobody told us of
    assert lines[1] not in unknown


def test_logins_in_addresses_and_headers_are_masked() -> None:
    clean = Scrubber().text(
        "https://robot:s3cret@host/x and Authorization: Bearer abcdefghijklmnopqrstuvwxyz"
    )
    assert "s3cret" not in clean
    assert "abcdefghijklmnop" not in clean
    assert Scrubber().text("a basic understanding of pods") == "a basic understanding of pods"


def test_short_secrets_are_masked_as_a_whole_only() -> None:
    scrubber = Scrubber(["abc"])
    assert scrubber.text("abc") == "[secret]"
    assert scrubber.text("abcdef") == "abcdef"


@pytest.mark.parametrize("unknown", sorted(UNKNOWNS))
def test_unknown_values_have_words(unknown: str) -> None:
    text = report({"data": {"x": "a"}}, {"data": {"x": unknown}}, ["data.x"])
    assert "<code>a</code> → *known after the update*" in text
    assert unknown not in text


def test_a_real_rotation_shows_that_it_is_one() -> None:
    text = page(recorded("secret"))
    assert "Secret <code>harbor-pull</code> changes" in text
    assert "secret, not shown" in text
    assert "hunter2" not in text
