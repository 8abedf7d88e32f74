r"""The chapters that go into the handout: the documents' website without solutions. No part of the paper."""

import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path("chapters")  # in the handout
MISSING = "ModuleNotFoundError: "


def website(root):
    r"""The student's edition of the website of `root`, a checkout: (dict path: bytes, "").

    Where what it takes is not installed, ({}, one line that says what is missing). Raises ValueError if the documents
    have mistakes, or a solution in them.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / FOLDER
        command = [sys.executable, str(root / "docs" / "build.py"), "site", str(out), "--student"]
        done = subprocess.run(command, capture_output=True, text=True)
        said = done.stderr.strip().splitlines() or [f"{command[1]} ended with status {done.returncode}"]
        if done.returncode and said[-1].startswith(MISSING):
            return {}, f'{said[-1].removeprefix(MISSING)}; expected pip install ".[docs]" before'
        if done.returncode:
            raise ValueError(f"the chapters: {said[0]}")
        return {path.relative_to(folder): path.read_bytes() for path in out.rglob("*") if path.is_file()}, ""
