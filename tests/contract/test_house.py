"""The rules of the house: who may import whom, and what a process does not load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.imports import imports_under, within

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/service.py"))
ROOMS = sorted(
    path.name
    for path in (ROOT / "services").iterdir()
    if (path / "__init__.py").is_file() and path.name != "runtime"
)

NEVER = {"torch", "transformers", "sentence_transformers", "onnx", "spacy", "pandas"}
"""Too big for a process that only answers; one by choice of the configuration."""
FORBIDDEN = {
    # Jinja2 comes with the first answer a model is asked for.
    "orchestrator": {"numpy", "aiohttp", "onnxruntime", "tokenizers", "hnswlib", "jinja2"},
    "llm_bridge": {"aiosqlite", "numpy", "onnxruntime", "tokenizers", "hnswlib"},
    "ingest": {"onnxruntime", "hnswlib"},
    "retriever": {"pypdfium2", "pdfplumber"},
    "metrics": {"aiosqlite", "aiohttp", "numpy", "jinja2"},
}
"""What a process must not load at start, beside what none may."""


def strangers(folder: Path, root: Path, *allowed: str) -> set[tuple[str, str]]:
    """Return the imports of our own packages under a folder that are not of the allowed ones."""
    return {
        (path, module)
        for path, module in imports_under(folder, root)
        if within(module, "services", "schemas", "tests") and not within(module, *allowed)
    }


def test_schemas_import_msgspec_and_the_standard_library_only() -> None:
    allowed = {"schemas", "msgspec", "__future__", *sys.stdlib_module_names}
    found = imports_under(ROOT / "schemas", ROOT)
    assert found
    assert {(p, m) for p, m in found if m.partition(".")[0] not in allowed} == set()


def test_runtime_imports_schemas_only() -> None:
    assert strangers(ROOT / "services" / "runtime", ROOT, "services.runtime", "schemas") == set()


@pytest.mark.parametrize("room", ROOMS)
def test_service_imports_runtime_and_schemas_never_another_service(room: str) -> None:
    allowed = (f"services.{room}", "services.runtime", "schemas")
    assert strangers(ROOT / "services" / room, ROOT, *allowed) == set()


def test_a_breach_is_seen(tmp_path: Path) -> None:
    room = tmp_path / "services" / "a" / "deep"
    room.mkdir(parents=True)
    (room / "x.py").write_text(
        "import services.b.c\n"
        "from services import d\n"
        "def late():\n"
        "    from ...e import f\n"
        "    from ..own import g\n"
        "import services.ab\n"
        "import json, schemas.health\n",
        encoding="utf-8",
    )
    found = strangers(tmp_path / "services" / "a", tmp_path, "services.a", "schemas")
    modules = {"services.b.c", "services.d", "services.e.f", "services.ab"}
    assert found == {("services/a/deep/x.py", module) for module in modules}


def loaded(statement: str) -> set[str]:
    """Return the top-level packages a fresh process has loaded after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("service", SERVICES)
def test_process_loads_only_what_it_uses(service: str) -> None:
    found = loaded(f"import services.{service}.service")
    unwanted = NEVER | FORBIDDEN.get(service, set())
    if service != "ingest":
        unwanted = unwanted | {"unstructured"}
    assert found & unwanted == set()
    assert {"services", "schemas", "msgspec"} <= found


def test_only_the_orchestrator_uses_jinja() -> None:
    users = {p for p, m in imports_under(ROOT / "services", ROOT) if within(m, "jinja2")}
    assert users == {"services/orchestrator/templates.py"}


def test_the_contract_loads_no_service() -> None:
    assert loaded("import schemas.channels, schemas.asyncapi").isdisjoint({"services", "yaml"})


def test_every_room_with_a_door_has_an_entrance() -> None:
    assert set(SERVICES) == {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
