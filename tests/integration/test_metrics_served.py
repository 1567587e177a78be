"""Figures for Prometheus, from a running Andon by HTTP."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.andon import Andon, listening
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.sample import sample_manual

pytestmark = pytest.mark.integration


def read(port: int) -> dict[str, float]:
    """All samples, by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    return {
        sample.name + "".join(f"/{value}" for _, value in sorted(sample.labels.items())): float(
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def until(port: int, name: str, value: float) -> dict[str, float]:
    """The samples, once one has a value."""
    deadline = time.monotonic() + 60
    while (found := read(port)).get(name) != value:
        assert time.monotonic() < deadline, f"{name} is {found.get(name)}, not {value}"
        time.sleep(0.1)
    return found


def test_what_happens_is_counted(tmp_path: Path) -> None:
    port = free_port()
    with Andon(tmp_path, f"status_every_s: 0.2\nmetrics: {{port: {port}}}\n") as andon:
        manual = sample_manual(tmp_path, "pdf")
        assert andon.cli("add", str(manual)).returncode == 0
        found = until(port, "andon_documents", 1)
        for service in ("orchestrator", "retriever", "llm_bridge", "ingest", "metrics"):
            assert found[f"andon_service_up/{service}"] == 1
            assert 5e6 < found[f"andon_service_memory_bytes/{service}"] < 3e8
        assert found["andon_passages"] > 10
        with listening(andon.port, "andon/answer/plant/m1") as client:
            for _ in range(3):
                client.publish("plant/m1/fault", {"code": "E005"})
            client.next(lambda m: b'"final"' in m.payload)
        found = until(port, "andon_fault_reports_total/warning", 3)
        assert found["andon_assets_in_alarm/warning"] == 1
        assert found["andon_first_answer_seconds_count/fault"] == 1
        final = [n for n in found if n.startswith("andon_final_answer_seconds_count")]
        assert final == ["andon_final_answer_seconds_count/extract/fault"]
        assert andon.cli("ask", "What does E006 mean?").returncode == 0
        found = until(port, "andon_first_answer_seconds_count/question", 1)
        with listening(andon.port) as client:
            client.publish("plant/m1/fault", {"code": "E005", "state": "cleared"})
        until(port, "andon_assets_in_alarm/warning", 0)
        assert found["andon_service_up/ingest"] == 1
        andon.kill("ingest")
        until(port, "andon_service_up/ingest", 1)


def test_a_wrong_port_is_told(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Mosquitto(tmp_path) as broker:
            config.write_text(
                f"data: {tmp_path}\nmetrics: {{port: {port}}}\n"
                f"broker: {{url: 'mqtt://127.0.0.1:{broker.port}'}}\n"
            )
            command = [sys.executable, "-m", "services.metrics", "--config", str(config)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "already in use" in done.stderr
    assert "metrics.port" in done.stderr
