"""Which images are on offer, and under which reference they run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from thinkube_profiles.catalogue import NotebookImage, join, parse_catalogue, parse_images

DIGEST = "sha256:" + "ab" * 32


def offers(images: object, manifest: object, default: str = "none") -> dict[str, NotebookImage]:
    joined, _ = join(parse_images(images)[0], parse_catalogue(json.dumps(manifest))[0], default)
    return {image.name: image for image in joined}


def test_ours_run_by_digest_with_the_catalogues_texts(images: Any, manifest: Any) -> None:
    found = offers(images, manifest)["tk-jupyter-scipy"]
    assert found.reference == f"harbor.example.org/library/tk-jupyter-scipy@{DIGEST}"
    assert (found.display_name, found.description) == ("Data work", "Deployed tk-jupyter-scipy")
    assert (found.default, found.gpu_required) == (True, False)


def test_others_run_by_tag_after_ours(images: Any, manifest: Any) -> None:
    found = offers([images[2], images[0], images[1]], manifest)
    assert list(found) == ["tk-jupyter-scipy", "tk-jupyter-ml-gpu", "team-r"]
    assert found["team-r"].reference == "harbor.example.org/library/team-r:v1"
    assert found["tk-jupyter-ml-gpu"].gpu_required


def test_the_catalogues_tag_wins_over_others_of_the_repository(
    images: Any, manifest: Any, image_row: Any
) -> None:
    images += [image_row("tk-jupyter-scipy", "zzz999")]
    found = offers(images, manifest)
    assert found["tk-jupyter-scipy"].reference.endswith(f"@{DIGEST}")
    assert not [name for name in found if "zzz999" in name]


def test_a_push_that_is_not_listed_yet_leaves_the_newest_listed_tag(manifest: Any, image_row: Any) -> None:
    rows = [image_row("tk-jupyter-scipy", "old1"), image_row("tk-jupyter-scipy", "old2")]
    found = offers(rows, manifest)
    assert found["tk-jupyter-scipy"].reference == "harbor.example.org/library/tk-jupyter-scipy:old2"
    assert found["tk-jupyter-scipy"].default


def test_nothing_unlisted_is_offered(manifest: Any, images: Any) -> None:
    joined, dropped = join((), parse_catalogue(json.dumps(manifest))[0], "tk-jupyter-scipy")
    assert joined == ()
    assert "does not list it yet" in dropped[0]
    assert list(offers(images[:1], manifest)) == ["tk-jupyter-scipy"]


def test_nobody_takes_the_name_of_a_deployed_image(images: Any, manifest: Any, image_row: Any) -> None:
    fake = image_row("tk-jupyter-scipy", "v1", registry="evil.example.org")
    assert offers([fake, *images], manifest)["tk-jupyter-scipy"].reference.startswith("harbor.example.org/")


def test_older_tags_of_others_have_names_of_their_own(manifest: Any, image_row: Any) -> None:
    found = offers([image_row("team-r", "v1"), image_row("team-r", "v2")], manifest)
    assert found["team-r"].reference.endswith(":v2")
    assert found["team-r:v1"].reference.endswith(":v1")


def test_the_default_is_the_catalogues_else_the_configured_one(images: Any, manifest: Any) -> None:
    assert [name for name, image in offers(images, manifest, "team-r").items() if image.default] == [
        "tk-jupyter-scipy"
    ]
    for entry in manifest["images"]:
        entry["metadata"]["default"] = False
    found = offers(images, manifest, "tk-jupyter-ml-gpu")
    assert [name for name, image in found.items() if image.default] == ["tk-jupyter-ml-gpu"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("registry", "harbor.example.org/x"),
        ("registry", "harbor.example.org\n"),
        ("registry", ""),
        ("repository", "library/../x"),
        ("repository", "Library/x"),
        ("repository", "library/x@sha256:1"),
        ("tag", "v1\n"),
        ("tag", ""),
        ("tag", "v1@sha256:" + "0" * 64),
        ("tag", ["v1"]),
        ("tag", "\uff56\uff11"),
        ("registry", None),
    ],
)
def test_a_row_that_makes_no_reference_is_dropped_alone(images: Any, key: str, value: object) -> None:
    images[0]["metadata"][key] = value
    rows, dropped = parse_images(images)
    assert [row.name for row in rows] == ["tk-jupyter-ml-gpu", "team-r"]
    assert f"image entry 0: {key}" in dropped[0]


@pytest.mark.parametrize("entry", [None, 5, "x", [], {}, {"name": "a"}, {"name": "a\n", "metadata": {}}])
def test_a_garbage_row_is_dropped_alone(images: Any, entry: object) -> None:
    rows, dropped = parse_images([entry, *images])
    assert len(rows) == 3
    assert len(dropped) == 1


def test_wrong_texts_are_replaced_not_fatal(images: Any) -> None:
    images[0] |= {"display_name": 5, "description": None}
    row = parse_images(images)[0][0]
    assert (row.display_name, row.description) == ("tk-jupyter-scipy", "")


@pytest.mark.parametrize("answer", [None, {}, "x", [None], {"detail": "error"}])
def test_an_answer_without_news_is_refused_whole(answer: object) -> None:
    with pytest.raises(ValueError, match=r"no list|can be read"):
        parse_images(answer)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", '{"manifest_version": "2.0", "images": []}', '{"images": []}']
)
def test_what_is_no_catalogue_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_catalogue(text)


def test_a_bad_digest_drops_the_catalogues_entry(manifest: Any) -> None:
    manifest["images"][0]["metadata"]["digest"] = DIGEST + "\n"
    deployed, dropped = parse_catalogue(json.dumps(manifest))
    assert [entry.listed.name for entry in deployed] == ["tk-jupyter-ml-gpu"]
    assert "digest" in dropped[0]


def test_a_catalogue_entry_for_another_purpose_is_no_notebook(manifest: Any) -> None:
    manifest["images"][0]["metadata"]["purpose"] = "base"
    assert len(parse_catalogue(json.dumps(manifest))[0]) == 1


def test_the_sample_answer_is_read_whole(sample: Callable[[str], Any]) -> None:
    rows, dropped = parse_images(sample("images-jupyter.json"))
    assert (len(rows), dropped) == (2, ())
