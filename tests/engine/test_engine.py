"""The harness around the Pulumi CLI: config, secrets, outputs, errors, and a program folder that stays clean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.engine import EngineError
from tests.engine.conftest import SECRET, Program

pytestmark = pytest.mark.engine

SOURCE = """
import pulumi
config = pulumi.Config()
pulumi.export("plain", config.require("plain"))
pulumi.export("object", config.get_object("object"))
pulumi.export("secret", config.require_secret("secret"))
pulumi.log.warn("mind this")
"""


def test_config_goes_in_and_outputs_come_out(program: Program, tmp_path: Path) -> None:
    """Text stays text, objects stay objects, a secret stays secret, and nothing is written beside the program."""
    stack = program(SOURCE)
    lines: list[str] = []
    stack.report = lines.append
    many = f"{SECRET}\nsecond line\n"
    stack.set_config({"plain": "001", "object": {"a": ["000", 1, True]}}, {"secret": many})
    before = stack.config_file.read_text()
    assert SECRET not in before
    stack.set_config({"plain": "001"}, {"secret": many})
    assert stack.config_file.read_text() == before
    done = stack.up()
    assert done.changes == {"create": 1}
    assert ("warning", "mind this") in [
        (severity, text.removeprefix("warning: ")) for severity, text in done.diagnostics
    ]
    assert lines == ["create pulumi:pulumi:Stack engine-test-dev"]
    expected = {"plain": "001", "object": {"a": ["000", 1, True]}, "secret": many}
    assert stack.outputs(show_secrets=True) == expected
    assert stack.outputs()["secret"] == "[secret]"
    assert SECRET not in json.dumps(stack.export())
    assert stack.preview().changes == {}
    written = {path.name for path in (tmp_path / "program").iterdir()}
    assert written <= {"Pulumi.yaml", "__main__.py", "__pycache__"}


def test_a_stack_file_replaces_plain_keys_and_keeps_secrets(program: Program, tmp_path: Path) -> None:
    stack = program(SOURCE)
    stack.set_config({"plain": "old", "gone": "x"}, {"secret": SECRET})
    source = tmp_path / "Pulumi.given.yaml"
    source.write_text("config:\n  engine-test:plain: new\n  object: {a: 1}\n")
    stack.load_config(source)
    text = stack.config_file.read_text()
    assert "gone" not in text
    stack.up()
    assert stack.outputs(show_secrets=True) == {"plain": "new", "object": {"a": 1}, "secret": SECRET}


def test_errors_carry_the_engines_words(program: Program) -> None:
    stack = program("raise ValueError('the disk is full of bees')")
    with pytest.raises(EngineError, match="the disk is full of bees") as failure:
        stack.up()
    assert failure.value.summary.operation == "up"
    assert "bees" in failure.value.summary.errors()
    with pytest.raises(EngineError, match="plain"):
        program(SOURCE).preview()


def test_a_lock_that_was_left_can_be_released(program: Program, tmp_path: Path) -> None:
    stack = program("import pulumi\npulumi.export('x', 1)")
    stack.up()
    locks = tmp_path / "state/backend/.pulumi/locks/organization/engine-test/dev"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "dead.json").write_text(
        '{"pid": 1, "username": "nobody", "hostname": "gone", "timestamp": "2026-01-01T00:00:00Z"}'
    )
    with pytest.raises(EngineError, match="locked"):
        stack.up()
    stack.unlock()
    assert stack.up().changes == {}


def test_a_wrong_passphrase_is_an_error_not_a_new_stack(program: Program) -> None:
    stack = program(SOURCE)
    stack.set_config({"plain": "1"}, {"secret": SECRET})
    stack.env["PULUMI_CONFIG_PASSPHRASE"] = "other"
    with pytest.raises(EngineError, match="passphrase"):
        stack.preview()
