"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the published files; the test is skipped where it is not set."""
    folder = os.environ.get("CELLIXIR_DATA_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set CELLIXIR_DATA_DIR to the folder with the published files")
    return Path(folder)
