"""Content-addressed tags, .dockerignore, the catalogue, and what refuses to be an image."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
import pytest

from components.catalogue import manifest, plan_images
from components.context import context_files, ignored, image_tag, parse_ignore
from components.images import digest_of
from components.settings.models import Images

DIGEST = f"sha256:{'c' * 64}"


def image_folder(root: Path, name: str, parent: str | None = None) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY list.txt /\n")
    (folder / "list.txt").write_text("numpy\n")
    (folder / "README.md").write_text("about\n")
    (folder / ".dockerignore").write_text("# only what is copied\n*\n!list.txt\n")
    text = f"name: {name}\ndisplay_name: {name.upper()}\ndescription: For tests\n"
    (folder / "image.yaml").write_text(text + (f"parent: {parent}\n" if parent else ""))
    return folder


class TestTag:
    """Equal if and only if nothing that shapes the image differs."""

    def test_same_everywhere(self, tmp_path: Path) -> None:
        tags = {image_tag(image_folder(tmp_path / place, "a"), {"X": "1"}) for place in ("here", "there")}
        assert len(tags) == 1

    @pytest.mark.parametrize(
        ("file", "text"),
        [("Dockerfile", "FROM other\n"), ("list.txt", "scipy\n")],
        ids=["dockerfile", "context"],
    )
    def test_content_counts(self, tmp_path: Path, file: str, text: str) -> None:
        folder = image_folder(tmp_path, "a")
        before = image_tag(folder, {})
        (folder / file).write_text(text)
        assert image_tag(folder, {}) != before

    def test_executable_bit_name_and_arguments_count(self, tmp_path: Path) -> None:
        folder = image_folder(tmp_path, "a")
        tags = [image_tag(folder, {}), image_tag(folder, {"BASE": "x"}), image_tag(folder, {}, "parent")]
        (folder / "list.txt").chmod(0o755)
        tags.append(image_tag(folder, {}))
        (folder / "list.txt").chmod(0o644)
        (folder / ".dockerignore").write_text("*\n!other.txt\n")
        (folder / "list.txt").rename(folder / "other.txt")
        tags.append(image_tag(folder, {}))
        assert len(set(tags)) == 5

    def test_ignored_files_do_not_count(self, tmp_path: Path) -> None:
        folder = image_folder(tmp_path, "a")
        before = image_tag(folder, {})
        (folder / "README.md").write_text("rewritten\n")
        assert image_tag(folder, {}) == before
        assert [path.name for path in context_files(folder)] == ["list.txt"]


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        ("", "a", False),
        ("a", "a/b/c", True),
        ("a", "b/a", False),
        ("**/a", "b/a", True),
        ("**/a", "a", True),
        ("*.py", "x.py", True),
        ("*.py", "d/x.py", False),
        ("**/*.py", "d/e/x.py", True),
        ("d/**", "d/e/x", True),
        ("*\n!keep", "keep", False),
        ("*\n!keep/this", "keep/this", False),
        ("*\n!keep/this", "keep/that", True),
        ("!keep\n*", "keep", True),
        ("/a", "a", True),
        ("a/", "a/b", True),
        ("f?o", "foo", True),
        ("f?o", "f/o", False),
        ("[ab].txt", "b.txt", True),
        ("# a\n\nb", "a", False),
        ("./a", "a", True),
    ],
)
def test_dockerignore(rules: str, path: str, expected: bool) -> None:
    assert ignored(path, parse_ignore(rules)) is expected


class TestPlan:
    """Which images a stack has, and in which order they are built."""

    def plan(self, folder: Path, **images: object) -> list[str]:
        settings = Images.model_validate({"default": "a", **images})
        return [image.reference for image in plan_images(settings, folder, "harbor.example.org", "library")]

    def test_parents_first_and_their_tag_counts(self, tmp_path: Path) -> None:
        image_folder(tmp_path, "a", parent="z")
        parent = image_folder(tmp_path, "z")
        first = self.plan(tmp_path)
        assert [reference.rpartition(":")[0][-1] for reference in first] == ["z", "a"]
        (parent / "list.txt").write_text("scipy\n")
        assert all(old != new for old, new in zip(first, self.plan(tmp_path), strict=True))

    def test_default_is_there(self, tmp_path: Path) -> None:
        image_folder(tmp_path, "b")
        with pytest.raises(
            pulumi.RunError, match=r"config key images.default: there is no image 'a' in .*, only b"
        ):
            self.plan(tmp_path)

    def test_parents_in_a_circle(self, tmp_path: Path) -> None:
        image_folder(tmp_path, "a", parent="b")
        image_folder(tmp_path, "b", parent="a")
        with pytest.raises(pulumi.RunError, match="circle"):
            self.plan(tmp_path)

    def test_metadata_is_checked(self, tmp_path: Path) -> None:
        (image_folder(tmp_path, "a") / "image.yaml").write_text("name: a\ndisplay_nam: x\n")
        with pytest.raises(pulumi.RunError, match=r"a/image.yaml: not valid image metadata"):
            self.plan(tmp_path)

    def test_manifest(self, tmp_path: Path) -> None:
        image_folder(tmp_path, "a")
        images = plan_images(
            Images.model_validate({"default": "a"}), tmp_path, "harbor.example.org", "library"
        )
        text = manifest(images, {"a": DIGEST}, "library", "thinkube")
        assert text == manifest(images, {"a": DIGEST}, "library", "thinkube"), "no clock, no chance"
        (entry,) = json.loads(text)["images"]
        assert entry["source"] == "built"
        assert entry["category"] == "user"
        assert entry["destination_url"] == f"harbor.example.org/library/a:{entry['tag']}"
        assert entry["metadata"]["purpose"] == "jupyter"
        assert (entry["metadata"]["digest"], entry["metadata"]["default"]) == (DIGEST, True)


@pytest.mark.parametrize("found", [f"harbor.example.org/library/a@{DIGEST}", DIGEST])
def test_digest(found: str) -> None:
    assert digest_of(found) == DIGEST
