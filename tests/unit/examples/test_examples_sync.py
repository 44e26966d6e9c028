"""The sync script against real repositories: whole snapshots, never a part, never outside, and plain reasons."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import examples_sync
import pytest
import sync_git
from examples_sync import sync, sync_all
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sync_git import Git, Repository, SyncError
from sync_volume import Volume

from tests.unit.examples.conftest import Origin

FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples_sync, "PAUSES", (0, 0))


def snapshots(volume: Volume, folder: str = "team") -> set[str]:
    return {path.name for path in (volume.root / ".snapshots" / folder).iterdir() if path.is_dir()}


class TestSnapshots:
    """`<folder>` shows one whole commit; the next one takes its place in a moment."""

    def test_first(self, origin: Origin, volume: Volume, git: Git) -> None:
        commit = origin.commit({"README.md": "one", "common/a.ipynb": "{}"})
        assert sync(origin.repository(), volume, git) == commit
        link = volume.root / "team"
        assert str(link.readlink()) == f".snapshots/team/{commit}"
        assert (link / "README.md").read_text() == "one"
        assert (link / "common" / "a.ipynb").is_file()
        assert not (link / ".git").exists()
        assert list((volume.root / ".work").iterdir()) == []
        assert list(git.home.iterdir()) == []

    def test_next_commit_and_the_one_before_is_kept(self, origin: Origin, volume: Volume, git: Git) -> None:
        commits = []
        for text in ("one", "two", "three"):
            commits.append(origin.commit({"README.md": text, f"{text}.txt": ""}))
            sync(origin.repository(), volume, git)
        assert sorted(p.name for p in (volume.root / "team").iterdir()) == [
            "README.md",
            "one.txt",
            "three.txt",
            "two.txt",
        ]
        assert snapshots(volume) == set(commits[1:])

    def test_a_removed_file_goes(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": "", "b": ""})
        sync(origin.repository(), volume, git)
        (origin.folder / "a").unlink()
        origin.commit({})
        sync(origin.repository(), volume, git)
        assert [path.name for path in (volume.root / "team").iterdir()] == ["b"]

    def test_nothing_new_touches_nothing(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": ""})
        sync(origin.repository(), volume, git)
        before = (volume.root / "team").lstat()
        sync(origin.repository(), volume, git)
        after = (volume.root / "team").lstat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)

    def test_back_to_an_earlier_commit(self, origin: Origin, volume: Volume, git: Git) -> None:
        first = origin.commit({"a": "one"})
        sync(origin.repository(), volume, git)
        second = origin.commit({"a": "two"})
        sync(origin.repository(), volume, git)
        origin.git("reset", "--quiet", "--hard", first)
        assert sync(origin.repository(), volume, git) == first
        assert (volume.root / "team" / "a").read_text() == "one"
        assert snapshots(volume) == {first, second}

    def test_a_move_that_was_broken_off_is_done_again(self, origin: Origin, volume: Volume, git: Git) -> None:
        commit = origin.commit({"a": "one", "b": "two"})
        part = volume.root / ".snapshots" / "team" / commit
        part.mkdir(parents=True)
        (part / "a").write_text("one")
        sync(origin.repository(), volume, git)
        assert sorted(path.name for path in (volume.root / "team").iterdir()) == ["a", "b"]

    def test_a_reader_never_sees_a_part(self, origin: Origin, volume: Volume, git: Git) -> None:
        """A reader that looks all the time finds both files of one commit, in every look."""
        origin.commit({"a": "0", "b": "0"})
        sync(origin.repository(), volume, git)
        seen: list[tuple[str, str]] = []
        over = threading.Event()

        def read() -> None:
            while not over.is_set():
                place = (volume.root / "team").resolve()  # what an open folder is: one snapshot
                seen.append(((place / "a").read_text(), (place / "b").read_text()))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in range(1, 6):
                origin.commit({"a": str(number), "b": str(number)})
                sync(origin.repository(), volume, git)
        finally:
            over.set()
            reader.join()
        assert len({a for a, _ in seen}) > 1, "the reader looked while it changed"
        assert all(a == b for a, b in seen)


class TestReferences:
    """A branch, else a tag; a name that is neither is said."""

    def test_tag(self, origin: Origin, volume: Volume, git: Git) -> None:
        commit = origin.commit({"a": "released"})
        origin.git("tag", "--annotate", "--message", "r", "v1")
        origin.commit({"a": "later"})
        assert sync(origin.repository(ref="v1"), volume, git) == commit
        assert sync(origin.repository(ref="v1"), volume, git) == commit

    def test_branch_wins(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": "tagged"})
        origin.git("tag", "release/1")
        origin.git("checkout", "--quiet", "-b", "release/1")
        branch = origin.commit({"a": "branch"})
        assert sync(origin.repository(ref="release/1"), volume, git) == branch

    def test_neither(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": ""})
        with pytest.raises(SyncError, match="it has no branch or tag nowhere"):
            sync(origin.repository(ref="nowhere"), volume, git)


class TestFailures:
    """What users see stays; the reason names repository, ref and cause; the next sync is as if nothing happened."""

    def test_last_snapshot_stays(self, origin: Origin, volume: Volume, git: Git) -> None:
        commit = origin.commit({"a": "one"})
        assert sync_all([origin.repository()], volume, git) == []
        origin.folder.rename(origin.folder.with_name("moved"))
        (failure,) = sync_all([origin.repository()], volume, git)
        assert failure.stale
        assert failure.sentence == (
            f"examples: file://{origin.folder} (branch or tag main): there is no such repository"
        )
        assert (volume.root / "team" / "a").read_text() == "one"
        status = volume.status()["team"]
        assert (status["commit"], status["error"]) == (commit, failure.sentence)
        assert status["lastSuccess"] <= status["lastAttempt"]
        origin.folder.with_name("moved").rename(origin.folder)
        assert sync_all([origin.repository()], volume, git) == []
        assert volume.status()["team"]["error"] == ""

    def test_one_does_not_stop_the_others(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": ""})
        missing = Repository(url="file:///nowhere/at/all", folder="missing", ref="main")
        assert len(sync_all([missing, origin.repository()], volume, git)) == 1
        assert (volume.root / "team" / "a").is_file()

    def test_killed_while_it_worked(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": ""})
        old, young = volume.work("old"), volume.work("young")
        (old / "half").write_text("")
        (volume.root / ".work" / "link-0").symlink_to(".snapshots/team/none")
        long_ago = time.time() - 86_400
        for path in (old, volume.root / ".work" / "link-0"):
            os.utime(path, (long_ago, long_ago), follow_symlinks=False)
        sync_all([origin.repository()], volume, git)
        assert list((volume.root / ".work").iterdir()) == [young], "another sync may be at work there"

    def test_a_folder_that_is_not_ours_stays(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": ""})
        (volume.root / "team").mkdir()
        (volume.root / "team" / "precious").write_text("x")
        (failure,) = sync_all([origin.repository()], volume, git)
        assert "is not a link of ours" in failure.sentence
        assert not failure.stale
        assert (volume.root / "team" / "precious").read_text() == "x"

    def test_broken_status_file_is_replaced(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": ""})
        for text in ("", "[]", '{"repositories": [1]}', '{"repositories": {"team": 1}}'):
            (volume.root / ".status.json").write_text(text)
            assert sync_all([origin.repository()], volume, git) == []
            assert (
                json.loads((volume.root / ".status.json").read_text())["repositories"]["team"]["error"] == ""
            )

    def test_git_that_hangs_is_ended_with_its_helpers(
        self, origin: Origin, volume: Volume, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake = tmp_path / "bin" / "git"
        fake.parent.mkdir()
        fake.write_text(f"#!/bin/sh\nsleep 60 & echo $! > {tmp_path}/helper\nwait\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
        with pytest.raises(SyncError, match=r"did not end within 0\.5 s"):
            sync(origin.repository(), volume, replace(git, timeout=0.5))
        state = Path(f"/proc/{(tmp_path / 'helper').read_text().strip()}/stat")
        deadline = time.monotonic() + 5
        while state.exists() and ") Z" not in state.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not state.exists() or ") Z" in state.read_text()

    @pytest.mark.parametrize(
        ("complaint", "reason", "final"),
        [
            (
                "fatal: could not read Username for 'https://g': terminal prompts disabled",
                "wants a login",
                True,
            ),
            ("fatal: repository 'https://g/a.git/' not found", "there is no such repository", True),
            (
                "fatal: unable to access 'https://g/': The requested URL returned error: 403",
                "wants a login",
                True,
            ),
            (
                "fatal: unable to access: server certificate verification failed. CAfile: none",
                "caBundle",
                True,
            ),
            ("fatal: unable to access 'https://g/': SSL certificate problem: self-signed", "caBundle", True),
            ("fatal: unable to access 'https://g/': Could not resolve host: g", "cannot be resolved", False),
            ("fatal: unable to access: Failed to connect to g port 443", "nothing answers", False),
            (
                "error: RPC failed; HTTP 502\nThe requested URL returned error: 502",
                "not able to answer",
                False,
            ),
            ("warning: x\nfatal: something of its own", "fatal: something of its own", False),
            ("", "without a word", False),
        ],
    )
    def test_causes(self, complaint: str, reason: str, final: bool) -> None:
        error = sync_git.cause(complaint, Repository("https://g/a.git", "a", "main"), "")
        assert reason in str(error)
        assert error.final is final
        assert "\n" not in str(error)


class TestToken:
    """The token goes to private repositories only, by the environment of git, and never into a text."""

    def test_only_private(self, git: Git) -> None:
        public = Repository("https://g/a.git", "a", "main")
        assert "word-of-the-token" not in str(git._environment(public))
        assert "extraHeader" not in str(git._environment(public))
        private = git._environment(replace(public, private=True))
        assert private["GIT_CONFIG_VALUE_3"].startswith("Authorization: Basic ")
        assert private["GIT_CONFIG_KEY_4"] == "http.followRedirects"
        assert "word-of-the-token" not in str(private), "encoded at least"
        assert "EXAMPLES_TOKEN" not in private

    def test_not_in_reasons(self, git: Git) -> None:
        private = Repository("https://g/a.git", "a", "main", private=True)
        error = sync_git.cause("fatal: odd word-of-the-token", private, git.token)
        assert str(error) == "fatal: odd ***"
        assert "word-of-the-token" not in repr(git)

    def test_refused(self, git: Git) -> None:
        private = Repository("https://g/a.git", "a", "main", private=True)
        error = sync_git.cause("fatal: Authentication failed for 'https://g/a.git/'", private, git.token)
        assert str(error) == "the server refused examples_token"


class TestNothingOutside:
    """No name and no content of a repository leads out of the volume's own folders."""

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        name=st.text(max_size=30)
        | st.sampled_from(["..", ".", "", "../x", "/etc", ".snapshots", "a/../../b", "a\n"])
    )
    def test_names(self, name: str, origin: Origin, volume: Volume, git: Git) -> None:
        beside = sorted(volume.root.parent.iterdir())
        with pytest.raises(SyncError) as error:
            sync(origin.repository(folder=name, ref="none"), volume, git)
        assert ("no name of a folder" in str(error.value)) is not bool(FOLDER.fullmatch(name))
        assert sorted(volume.root.parent.iterdir()) == beside

    def test_link_in_the_repository_is_not_followed(
        self, origin: Origin, volume: Volume, git: Git, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (origin.folder / "way").symlink_to(outside)
        origin.commit({"a": ""})
        sync(origin.repository(), volume, git)
        (origin.folder / "way").unlink()
        origin.commit({"way/in": "x"})
        sync(origin.repository(), volume, git)
        assert list(outside.iterdir()) == []
        assert (volume.root / "team" / "way" / "in").read_text() == "x"

    def test_a_repository_runs_nothing(
        self, origin: Origin, volume: Volume, git: Git, tmp_path: Path
    ) -> None:
        """Neither a filter that its attributes name nor a hook of the machine's templates."""
        origin.commit({".gitattributes": "* filter=evil\n", "a": "plain"})
        origin.git("config", "filter.evil.smudge", f"touch {tmp_path}/ran")
        hook = origin.folder / ".git" / "hooks" / "post-checkout"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
        sync(origin.repository(), volume, git)
        assert (volume.root / "team" / "a").read_text() == "plain"
        assert not (tmp_path / "ran").exists()

    def test_protocols_other_than_https_are_refused(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": ""})
        with pytest.raises(SyncError, match="'file' not allowed"):
            sync(origin.repository(), volume, replace(git, protocols="https"))


class TestSettings:
    """What is no longer configured goes; what the script is given is a file of settings."""

    def test_gone_from_the_settings(self, origin: Origin, volume: Volume, git: Git) -> None:
        origin.commit({"a": ""})
        sync_all([origin.repository(), origin.repository(folder="other")], volume, git)
        (volume.root / "notes").mkdir()
        sync_all([origin.repository()], volume, git)
        assert not (volume.root / "other").is_symlink()
        assert not (volume.root / ".snapshots" / "other").exists()
        assert (volume.root / "notes").is_dir()
        assert set(volume.status()) == {"team"}

    def test_main(
        self,
        tmp_path: Path,
        volume: Volume,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("EXAMPLES_TOKEN", "word-of-the-token")
        repository = {"url": "https://127.0.0.1:1/a.git", "folder": "a", "ref": "main", "private": True}
        file = tmp_path / "settings.json"
        file.write_text(json.dumps({"repositories": [repository], "timeoutSeconds": 20}))
        (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
        assert examples_sync.main(file, volume.root, "first") == 1
        told = capsys.readouterr()
        assert told.err.startswith("examples: https://127.0.0.1:1/a.git (branch or tag main): ")
        assert told.err.count("\n") == 1
        assert "word-of-the-token" not in told.out + told.err
        assert "EXAMPLES_TOKEN" not in os.environ

    @pytest.mark.parametrize(
        ("mode", "ref", "code"), [("first", "main", 0), ("daily", "main", 1), ("first", "other", 1)]
    )
    def test_a_server_that_is_away_later_does_not_hold_up_an_update(
        self,
        mode: str,
        ref: str,
        code: int,
        origin: Origin,
        volume: Volume,
        git: Git,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """What users have of that very branch is enough; another branch must be there first."""
        origin.commit({"a": ""})
        sync_all([origin.repository()], volume, git)
        repository = {
            "url": origin.repository().url,
            "folder": "team",
            "ref": ref,
        }  # file:// is refused by main
        file = tmp_path / "settings.json"
        file.write_text(json.dumps({"repositories": [repository], "timeoutSeconds": 20}))
        assert examples_sync.main(file, volume.root, mode) == code
        assert ("the earlier snapshot stays" in capsys.readouterr().err) is (ref == "main")
        assert (volume.root / "team" / "a").is_file()

    def test_private_ca_is_added_to_the_systems(self, tmp_path: Path) -> None:
        (tmp_path / "ca.crt").write_text("PRIVATE")
        home = tmp_path / "home"
        home.mkdir()
        made = examples_sync.ca_file(tmp_path / "ca.crt", home)
        assert made
        text = made.read_text()
        assert text.endswith("PRIVATE")
        assert text.count("BEGIN CERTIFICATE") > 10
        assert examples_sync.ca_file(tmp_path / "none", home) is None
