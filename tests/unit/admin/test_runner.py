"""The run as a whole: order, prerequisites, deadline, clean-up, exit code."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from admin.errors import AdminError
from admin.verify.checks import CHECKS, chosen
from admin.verify.command import as_data
from admin.verify.context import Context
from admin.verify.model import Check, Failed, Finding, Result, Skipped, Warned
from admin.verify.runner import exit_code, run_checks


def fails(context: Context) -> str:
    raise Failed("It is broken.", "Mend it.", "shards")


def warns(context: Context) -> str:
    raise Warned("It is old.", "Renew it.")


def skips(context: Context) -> str:
    raise Skipped("Switched off.")


def breaks(context: Context) -> str:
    raise KeyError("shape")


def works(context: Context) -> str:
    return "fine"


@pytest.mark.parametrize(
    ("run", "result", "code"),
    [
        (works, Result.OK, 0),
        (warns, Result.WARNING, 0),
        (skips, Result.SKIPPED, 0),
        (fails, Result.FAILED, 1),
        (breaks, Result.FAILED, 1),
    ],
)
def test_each_end_of_a_check_has_its_result_and_exit_code(
    context: Context, run: Callable[[Context], str], result: Result, code: int
) -> None:
    findings = run_checks([Check("V-A-01", "a", run)], context)

    assert [finding.result for finding in findings] == [result]
    assert exit_code(findings) == code


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (fails, Result.NOT_CHECKED),
        (breaks, Result.NOT_CHECKED),
        (skips, Result.SKIPPED),
        (warns, Result.OK),
        (works, Result.OK),
    ],
)
def test_what_needs_a_check_that_failed_is_not_run(
    context: Context, first: Callable[[Context], str], second: Result
) -> None:
    checks = [
        Check("V-A-01", "a", first),
        Check("V-A-02", "b", works, ("V-A-01",)),
        Check("V-A-03", "c", works, ("V-A-02",)),
    ]
    findings = run_checks(checks, context)

    assert [finding.result for finding in findings[1:]] == [second, second]
    if second is not Result.OK:
        assert findings[1].reason == "Not checked because of V-A-01."
        assert findings[2].reason == "Not checked because of V-A-02."


def test_past_the_deadline_nothing_more_is_asked(context: Context) -> None:
    context.ends_at = 0.0
    findings = run_checks([Check("V-A-01", "a", breaks)], context)

    assert findings[0].reason == "The time was over."
    assert exit_code(findings) == 1


def test_clean_up_is_done_after_an_interrupt(context: Context) -> None:
    done: list[str] = []

    def interrupted(context: Context) -> str:
        context.cleanup.callback(done.append, "cleaned")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_checks([Check("V-A-01", "a", interrupted)], context)
    assert done == ["cleaned"]


def test_a_check_needs_only_what_comes_before_it() -> None:
    seen: set[str] = set()
    for check in CHECKS:
        assert set(check.needs) <= seen, check.code
        assert check.code not in seen
        seen.add(check.code)


def test_only_brings_along_what_is_needed() -> None:
    assert [check.code for check in chosen("v-api-02")] == ["V-API-01", "V-API-02"]
    assert {check.code for check in chosen("V-API")} == {"V-API-01", "V-API-02"}
    assert chosen("") == CHECKS
    with pytest.raises(AdminError, match="--only V-AP: there is no such check"):
        chosen("V-AP")


def test_the_document_for_machines() -> None:
    finding = Finding("V-A-01", "a", Result.FAILED, "shards", "It is broken.", "Mend it.", 0.1234)
    document = json.loads(json.dumps(as_data("prod", "https://jupyter.example.org", [finding])))

    assert document["ok"] is False
    assert document["checks"] == [
        {
            "code": "V-A-01", "title": "a", "result": "failed", "seen": "shards",
            "reason": "It is broken.", "remedy": "Mend it.", "seconds": 0.12,
        }
    ]  # fmt: skip
