"""Judges from a script, for labelled cases: one that knows the labels, and one that makes its words up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from guardflow.evals import Case
from guardflow.values import Request


def knowing(cases: Iterable[Case]) -> Any:
    """Answers each question about a case as the label says, and quotes words that are there."""
    known = list(cases)

    def answer(request: Request) -> dict[str, Any]:
        asked = "\n".join(message.content for message in request.messages)
        case = max((c for c in known if str(c.answer) in asked), key=lambda c: len(str(c.answer)))
        if case.guard == "grounded":
            return {"quote": str(case.input).partition(".")[0], "supported": not case.found}
        return _judgements(case, quote=str(case.answer), fails=case.found)

    return answer


def inventing(cases: Iterable[Case]) -> Any:
    """Quotes words that stand nowhere, whatever it is asked."""
    known = list(cases)

    def answer(request: Request) -> dict[str, Any]:
        asked = "\n".join(message.content for message in request.messages)
        case = next(c for c in known if str(c.answer) in asked)
        if case.guard == "grounded":
            return {"quote": "xyzzy plugh", "supported": True}
        return _judgements(case, quote="xyzzy plugh", fails=False)

    return answer


def _judgements(case: Case, *, quote: str, fails: bool) -> dict[str, Any]:
    rubric: Any = case.args[0]
    verdict = "fail" if fails else "pass"
    return {
        "judgements": [
            {"criterion": criterion["name"], "quote": quote, "reason": "so it is", "verdict": verdict}
            for criterion in rubric
        ]
    }
