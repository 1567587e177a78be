"""What goes into a slim wheel."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest

from deploy.bundle.slim import needed, slim
from deploy.setup.unpack import unpack

pytestmark = pytest.mark.unit

FILES = {
    "thing/__init__.py": b"answer = 42\n",
    "thing/typed.pyi": b"answer: int\n",
    "thing/tests/test_thing.py": b"import pytest\n",
    "thing/template.py": b"{{ no }} Python\n",
    "thing/tests/LICENSE": b"yes\n",
    "thing-1.data/scripts/thing": b"#!python\n",
    "thing-1.dist-info/METADATA": b"Name: thing\nVersion: 1\n",
    "thing-1.dist-info/RECORD": b"",
}
NAME = "thing-1-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("file", ["a/b.py", "a/b.so", "a/c.json", "a/tests.py", "a-1.dist-info/x"])
def test_needed(file: str) -> None:
    assert needed(file)


@pytest.mark.parametrize("file", ["a/b.pyi", "a/tests/b.py", "a/include/b.h", "a-1.data/scripts/b"])
def test_not_needed(file: str) -> None:
    assert not needed(file)


def test_a_slim_wheel_unpacks_to_what_runs(wheel: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    slim(wheel, wheels)
    (wheels / "full.txt").write_text(NAME + "\n")
    unpack(wheels, "full", tmp_path / "site")
    site = tmp_path / "site"
    files = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    assert files == {
        "thing/__init__.py",
        "thing/__pycache__/__init__.cpython-311.pyc",
        "thing/template.py",
        "thing/tests/LICENSE",
        "thing-1.dist-info/METADATA",
        "thing-1.dist-info/RECORD",
    }
    spec = importlib.util.spec_from_file_location(
        "thing", site / "thing/__pycache__/__init__.cpython-311.pyc"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.answer == 42


def test_the_record_lists_every_file_with_its_hash(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with zipfile.ZipFile(slim(wheel, tmp_path / "out")) as archive:
        record = archive.read("thing-1.dist-info/RECORD").decode().splitlines()
        assert {line.split(",")[0] for line in record} == set(archive.namelist())
        assert [line for line in record if "sha256=" not in line] == ["thing-1.dist-info/RECORD,,"]


def test_the_same_wheel_is_made_the_same_twice(wheel: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(slim(wheel, tmp_path / name).read_bytes())
    assert made[0] == made[1]
