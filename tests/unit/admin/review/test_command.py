"""The command line: exit codes, files, a CLI that is missing or refuses."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from admin.cli import app
from tests.unit.admin.review.builders import PREVIEWS, preview_of, step

PLAIN = "hunter2-must-not-show"
FAKE = """\
#!/bin/sh
case "$*" in
*config*) cat "$FAKE_CONFIG" ;;
*) cat "$FAKE_PREVIEW"; cat "$FAKE_STDERR" >&2; exit "$FAKE_EXIT" ;;
esac
"""


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a `pulumi` that answers with files: preview, config, stderr."""
    program = tmp_path / "pulumi"
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config = {"thinkube-jupyterhub:harbor_robot_token": {"value": PLAIN, "secret": True}}
    for name, text in (("preview", ""), ("stderr", ""), ("config", json.dumps(config))):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(f"FAKE_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("FAKE_EXIT", "0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["review", "--stack", "dev", *arguments])
    return result.exit_code, result.stdout


def test_a_preview_that_ran_is_0(pulumi: Path) -> None:
    (pulumi / "preview").write_text((PREVIEWS / "code.json").read_text())
    code, text = run()
    assert code == 0
    assert "the hub restarts" in text


def test_the_report_goes_to_a_file(pulumi: Path) -> None:
    (pulumi / "preview").write_text((PREVIEWS / "none.json").read_text())
    code, text = run("--output", str(pulumi / "report.md"))
    assert (code, text) == (0, "")
    assert "nothing changes" in (pulumi / "report.md").read_text()


def test_a_preview_that_fails_is_1_and_says_why(pulumi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EXIT", "1")
    (pulumi / "preview").write_text((PREVIEWS / "wrong.json").read_text())
    code, text = run()
    assert code == 1
    assert "did you mean" in text


def test_a_cli_that_refuses_is_1_with_its_words(pulumi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EXIT", "255")
    (pulumi / "stderr").write_text(f"error: no stack named 'dev' found; {PLAIN}\n")
    code, text = run()
    assert code == 1
    assert "no stack named 'dev' found" in text
    assert PLAIN not in text


def test_the_configurations_secrets_are_searched_for(pulumi: Path) -> None:
    changed = step(
        "update",
        "kubernetes:core/v1:ConfigMap",
        old={"data": {"x": "a"}},
        new={"data": {"x": PLAIN}},
        diff=["data.x"],
    )
    (pulumi / "preview").write_text("Downloading plugin ...\n" + json.dumps(preview_of(changed)))
    code, text = run()
    assert code == 0
    assert PLAIN not in text


def test_a_saved_preview_needs_no_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HARBOR_ROBOT_TOKEN", PLAIN)
    changed = step("update", "x:y:Z", old={"a": "1"}, new={"a": PLAIN}, diff=["a"])
    (tmp_path / "saved.json").write_text(json.dumps(preview_of(changed)))
    code, text = run("--from", str(tmp_path / "saved.json"))
    assert code == 0
    assert PLAIN not in text


def test_flags_refuse_what_is_replaced_or_deleted(pulumi: Path) -> None:
    claim = "kubernetes:core/v1:PersistentVolumeClaim"
    replaced = step("replace", claim, "one", old={"a": 1}, new={"a": 2}, replaces=["a"])
    kept = step("delete", claim, "two", old={"a": 1}, retained=True)
    deleted = step("delete", claim, "three", old={"a": 1})

    (pulumi / "preview").write_text(json.dumps(preview_of(replaced, kept)))
    assert run()[0] == 0
    assert run("--fail-on-delete")[0] == 0
    assert run("--fail-on-replace")[0] == 3
    (pulumi / "preview").write_text(json.dumps(preview_of(deleted)))
    assert run("--fail-on-replace")[0] == 0
    assert run("--fail-on-delete")[0] == 3
    (pulumi / "preview").write_text((PREVIEWS / "code.json").read_text())
    assert run("--fail-on-replace")[0] == 0  # autonamed: the new one is there before the old one goes


def test_an_unusable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from admin.errors import AdminError

    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x").write_text("no json")
    result = CliRunner().invoke(app, ["review", "--stack", "dev", "--from", str(tmp_path / "x")])
    assert isinstance(result.exception, AdminError)
    assert "pulumi preview --json" in str(result.exception)
