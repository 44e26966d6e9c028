"""Runs checks one after another, and cleans up however that ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from admin.verify.context import Context
from admin.verify.model import Check, Failed, Finding, Result, Skipped, Warned

Report = Callable[[Finding], None]


def run_checks(
    checks: Iterable[Check],
    context: Context,
    *,
    started: Callable[[Check], None] = lambda check: None,
    ended: Report = lambda finding: None,
) -> list[Finding]:
    """Return a finding per check, in order. What the checks registered for clean-up is done also on an interrupt."""
    findings: list[Finding] = []
    with context.cleanup:
        for check in checks:
            started(check)
            begin = time.monotonic()
            finding = replace(_run(check, context, findings), seconds=time.monotonic() - begin)
            findings.append(finding)
            ended(finding)
    return findings


def exit_code(findings: Iterable[Finding]) -> int:
    """0: nothing failed and nothing was left unchecked; 1: else. Warnings and skipped checks are no failure."""
    return int(any(finding.result in (Result.FAILED, Result.NOT_CHECKED) for finding in findings))


def _run(check: Check, context: Context, before: list[Finding]) -> Finding:
    ended_well = {f.code: f.result in (Result.OK, Result.WARNING) for f in before}
    plain = Finding(check.code, check.title, Result.OK)
    for code in check.needs:
        if not ended_well.get(code, True):
            skipped = next(f for f in before if f.code == code).result is Result.SKIPPED
            result = Result.SKIPPED if skipped else Result.NOT_CHECKED
            return replace(plain, result=result, reason=f"Not checked because of {code}.")
    if not context.remaining():
        return replace(
            plain, result=Result.NOT_CHECKED, reason="The time was over.", remedy="Raise --deadline."
        )
    try:
        return replace(plain, seen=check.run(context))
    except Skipped as skipped_why:
        return replace(plain, result=Result.SKIPPED, reason=str(skipped_why))
    except Failed as fault:
        result = Result.WARNING if isinstance(fault, Warned) else Result.FAILED
        return replace(plain, result=result, seen=fault.seen, reason=fault.reason, remedy=fault.remedy)
    except Exception as error:
        # an answer of a shape that nobody expected must not end the run: the other checks may say why
        return replace(
            plain,
            result=Result.FAILED,
            reason=f"The check could not be carried out ({type(error).__name__}: {error}).",
            remedy="See what answers there; if it is right, this check is wrong: report it.",
        )
