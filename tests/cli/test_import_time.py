"""`cellixir --help` answers in under half a second, so the command line imports nothing heavy until it works."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "pandas", "sklearn", "scipy", "rdkit", "anndata", "mudata", "matplotlib", "pyarrow")
LOADED = "print(*sorted(m for m in sys.modules if '.' not in m))"


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds once it has run ``code``."""
    command = [sys.executable, "-c", f"import sys\n{code}\n{LOADED}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["cellixir", "cellixir.cli.app"])
def test_no_heavy_import(module: str) -> None:
    loaded = loaded_after(f"import {module}")
    assert "cellixir" in loaded
    assert sorted(loaded & set(HEAVY)) == []


def test_help_needs_no_heavy_import() -> None:
    call = "\n".join(
        [
            "from cellixir.cli.app import main",
            "sys.argv = ['cellixir', '--help']",
            "try:",
            "    main()",
            "except SystemExit as end:",
            "    assert not end.code, end.code",
        ]
    )
    assert sorted(loaded_after(call) & set(HEAVY)) == []


def test_the_check_sees_a_heavy_import() -> None:
    assert "scipy" in loaded_after("import scipy")
