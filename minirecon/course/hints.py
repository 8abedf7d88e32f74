r"""Coursework: which known mistake a wrong answer is. No part of the paper.

The planted mistakes of tests/planted.toml were tried, and docs/assignments/hints.json keeps how each fails, as a short
hash of what its tests said. Whoever fails in the same way has most likely made the same mistake.
"""

import hashlib
import json
import re
from pathlib import Path

TABLE = Path("docs/assignments/hints.json")
NUMBER = re.compile(r"-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b")


def fingerprint(task, failed):
    r"""A hash of how a task's tests fail: of each the first line, numbers to three digits; of an error, its type."""
    said = [f"{test} {_rough(failed[test])}" for test in task.tests if test in failed]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]


def _rough(message):
    line = re.sub(
        r"(\w+(?:Error|Exception|Warning)):.*", r"\1", message.split("\n")[0].removeprefix("AssertionError: ")
    )
    return NUMBER.sub(lambda number: f"{float(number.group()):.2e}" if abs(float(number.group())) > 1e-7 else "0", line)


def mistake(root, task, failed):
    r"""The name of the planted mistake that fails just so, or None."""
    if not (root / TABLE).is_file():
        return None
    return json.loads((root / TABLE).read_text(encoding="utf-8")).get(task.id, {}).get(fingerprint(task, failed))
