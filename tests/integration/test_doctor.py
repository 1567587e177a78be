"""`andon doctor` on a running Andon, and on one with something broken."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.andon import ROOT, Andon
from tests.support.mosquitto import free_port

pytestmark = pytest.mark.integration


def by(found: list[dict[str, Any]], level: str) -> dict[str, str]:
    return {one["about"]: one["said"] for one in found if one["level"] == level}


def test_it_finds_nothing_and_then_what_is_broken(tmp_path: Path) -> None:
    config = f"status_every_s: 0.2\nmetrics: {{port: {free_port()}}}\n"
    with Andon(tmp_path, config) as andon:
        well = andon.cli("doctor", "--deep")
        assert well.returncode == 0, well.stdout + well.stderr
        assert "No problem was found." in well.stdout
        for line in ("broker", "orchestrator", "ledger.db     read from end to end", "metrics"):
            assert line in well.stdout
        bad = tmp_path / "bad.pdf"
        bad.write_bytes(b"%PDF-1.4 nothing more")
        assert andon.cli("add", str(bad)).returncode == 1
        andon.data.chmod(0o755)
        done = andon.json_whatever("doctor")
        assert "everybody on this box may read it" in by(done, "problem")["permissions"]
        assert by(done, "note")["documents"] == "1 could not be read"
        andon.data.chmod(0o700)


def test_it_says_what_a_box_without_a_broker_has(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    config.write_text(f"data: {data}\nbroker: {{url: 'mqtt://127.0.0.1:{free_port()}'}}\n")
    with sqlite3.connect(data / "ledger.db") as db:
        db.execute("CREATE TABLE t (a)")
    db.close()
    with (data / "ledger.db").open("r+b") as file:
        file.write(b"\0" * 200)
    ahead = time.time() + 7200
    (data / "library.db").touch()
    os.utime(data / "library.db", (ahead, ahead))
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "doctor", "--json", "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    bad = by(json.loads(done.stdout), "problem")
    assert "not a database" in bad["ledger.db"]
    assert "120 minutes ahead" in bad["clock"]
    assert "connect to" in bad["broker"]
