"""The commands find the Andon that runs; `andon up` keeps to the configured port."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.broker import any_port
from services.running import is_held, only_one, settings
from services.runtime.config import Broker, Config
from services.runtime.errors import Fatal
from services.up import Up
from tests.support.andon import ROOT, Andon
from tests.support.mosquitto import free_port

pytestmark = pytest.mark.integration


def andon(folder: Path, *arguments: str, **options: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        check=False,
        timeout=120,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options),
    )


def test_a_config_in_the_working_directory_does_not_hide_what_runs(tmp_path: Path) -> None:
    with Andon(tmp_path) as running:
        (tmp_path / "config.yaml").write_text(
            f"data: {running.data}\nllm_bridge: {{url: 'http://127.0.0.1:9'}}\n"
            f"broker: {{url: 'mqtt://127.0.0.1:{free_port()}'}}\n",  # where nobody listens
            encoding="utf-8",
        )
        done = andon(tmp_path, "documents")
        assert (done.returncode, done.stdout) == (0, "The library is empty.\n"), done.stderr
        assert is_held(running.data)
    assert not is_held(running.data)
    # Nothing runs: what was left behind is no configuration.
    done = andon(tmp_path, "documents", "--config", str(tmp_path / "config.yaml"))
    assert done.returncode == os.EX_UNAVAILABLE


def test_the_newest_that_runs_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANDON_CONFIG", raising=False)
    for name, port in (("andon-data", 1001), ("other", 1002)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "up.yaml").write_text(f"broker: {{url: 'mqtt://127.0.0.1:{port}'}}\n")
    os.utime(tmp_path / "other" / "up.yaml", (1, 1))
    config = tmp_path / "config.yaml"
    config.write_text("data: other\nbroker: {url: 'mqtt://127.0.0.1:1003'}\n")
    assert settings(None).broker.url.endswith(":1003")
    with only_one(tmp_path / "other"):
        assert settings(None).broker.url.endswith(":1002")
        with only_one(tmp_path / "andon-data"):
            assert settings(None).broker.url.endswith(":1001")
            assert settings(str(config)).broker.url.endswith(":1002")
        with pytest.raises(Fatal, match="another `andon up` runs"), only_one(tmp_path / "other"):
            pass


def test_a_reader_that_had_enough_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = andon(tmp_path, "config", "check", "--json", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_our_broker_listens_where_the_configuration_says(tmp_path: Path) -> None:
    told: list[str] = []
    port = any_port()
    here = Config(data=str(tmp_path), broker=Broker(url=f"mqtt://localhost:{port}"))
    assert Up(here, port=None, tell=told.append).config.broker.url == f"mqtt://127.0.0.1:{port}"
    assert told == []
    away = Config(data=str(tmp_path), broker=Broker(url="mqtts://broker.plant.local:8883"))
    Up(away, port=any_port(), tell=told.append)
    assert told == []
    Up(away, port=None, tell=told.append)
    assert "mqtts://broker.plant.local:8883 is not used" in told[0]
