"""A process that is told to end leaves nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

WRITER = """
    import os, signal
    from pathlib import Path
    from cellixir.cli import app
    from cellixir.files import whole

    def job():
        with whole(Path("out.csv")) as partial:
            partial.write_text("half")
            os.kill(os.getpid(), signal.SIGTERM)

    app.app = job
    app.main()
"""


def test_a_process_that_is_terminated_leaves_nothing_half_written(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(WRITER)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert list(tmp_path.iterdir()) == []
