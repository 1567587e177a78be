"""A box from the bundle, booted: start to ready, and memory of everything but a language model."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.corpus import code, passages
from tests.support import installed
from tests.support.box import Box
from tests.support.plant_of_box import UNITS, PlantOfBox

PASSAGES = 10_000
_FILES = 10
_STARTS = 5
_A_MINUTE = 50
_FOR_S = 60.0
_EVERY_S = 3.0
_PSS = """
import glob, json
found = {}
for path in glob.glob("/sys/fs/cgroup/system.slice/andon-*.service/cgroup.procs") + glob.glob(
    "/sys/fs/cgroup/systemd/system.slice/andon-*.service/cgroup.procs"
):
    unit = path.split("/")[-2].removesuffix(".service")
    for pid in open(path).read().split():
        try:
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss:"):
                    found[unit] = found.get(unit, 0) + int(line.split()[1]) / 1024
        except OSError:  # it ended meanwhile
            pass
print(json.dumps(found))
"""


def measure() -> dict[str, Any]:
    """Boot, fill, and measure; where no box can be booted, the reason."""
    try:
        layers = installed.layers()
    except pytest.skip.Exception as reason:
        return {"skipped": str(reason)}
    with (
        tempfile.TemporaryDirectory(dir=installed.debian.CACHE) as folder,
        Box(layers, Path(folder)) as box,
    ):
        box.boot()
        plant = PlantOfBox(box)
        box.until("all ready", plant.all_ready)
        found: dict[str, Any] = {"start_to_ready_s": _starts(box)}
        found["passages"] = _fill(box)
        box.run("systemctl", "restart", "andon.target")
        box.until("all ready", plant.all_ready)
        # What a start needs for a while only is gone then.
        time.sleep(30)
        found["pss_mb_idle"] = _summed(pss(box))
        found[f"pss_mb_at_{_A_MINUTE}_faults_a_minute"] = _under_faults(box, plant)
    return found


def pss(box: Box) -> dict[str, float]:
    """Return what each unit's processes take, MiB, shared pages divided among all who share."""
    taken: dict[str, float] = json.loads(box.run("/usr/bin/python3", "-c", _PSS).stdout)
    return taken


def _summed(taken: dict[str, float]) -> dict[str, float]:
    return {"all": round(sum(taken.values()), 1)} | {
        unit: round(mb, 1) for unit, mb in sorted(taken.items())
    }


def _starts(box: Box) -> dict[str, float]:
    """Return the seconds from `systemctl start andon.target` until every unit said READY=1."""
    took = []
    for _ in range(_STARTS):
        box.run("systemctl", "stop", "andon.target", *UNITS)
        begun = time.monotonic()
        box.run("systemctl", "start", "andon.target", within_s=120)
        took.append(time.monotonic() - begun)
    took.sort()
    return {"median": round(took[len(took) // 2], 2), "most": round(took[-1], 2)}


def _fill(box: Box) -> int:
    """Have the box take in tables whose rows become passages; return how many there are."""
    names = []
    for number, table in enumerate(_tables()):
        name = f"/srv/bench{number}.csv"
        (box.root / name.lstrip("/")).write_text(table, encoding="utf-8")
        names.append(name)
    box.run("andon", "add", *names, within_s=1800)
    listed = json.loads(box.run("andon", "documents", "--json").stdout)
    return sum(one["passages"] for one in listed)


def _tables() -> Iterator[str]:
    texts = [passage.text for passage in passages(PASSAGES)]
    size = PASSAGES // _FILES
    for first in range(0, PASSAGES, size):
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["Code", "Remedy"])
        for n, text in enumerate(texts[first : first + size], first):
            writer.writerow([code(n), " ".join(text.split())])
        yield out.getvalue()


def _under_faults(box: Box, plant: PlantOfBox) -> dict[str, float]:
    """Return the most it took at any look while faults came in."""
    publish = box.entering("mosquitto_pub", *plant.as_("plc"), "-l", "-t", "plant/bench/fault")
    samples = []
    with subprocess.Popen(publish, stdin=subprocess.PIPE, text=True) as publishing:

        def report() -> None:
            assert publishing.stdin
            for n in range(round(_FOR_S * _A_MINUTE / 60)):
                publishing.stdin.write(json.dumps({"code": code(n * 7)}) + "\n")
                publishing.stdin.flush()
                time.sleep(60 / _A_MINUTE)
            publishing.stdin.close()

        reporting = threading.Thread(target=report)
        reporting.start()
        while reporting.is_alive():
            samples.append(pss(box))
            reporting.join(_EVERY_S)
    return _summed(max(samples, key=lambda taken: sum(taken.values())))
