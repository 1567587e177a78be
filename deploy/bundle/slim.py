"""What of the wheels a box does without, and wheels written anew without it (pure but for zip)."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

NOT_NEEDED = frozenset(
    {
        # unstructured asks for these, and its readers that Andon uses never import them: see
        # services/ingest/partition/offline.py. llvmlite, spaCy and blis alone take 330 MB.
        *("spacy", "spacy-legacy", "spacy-loggers", "thinc", "blis", "cymem", "preshed"),
        *("murmurhash", "srsly", "catalogue", "confection", "weasel", "wasabi", "typer"),
        *("numba", "llvmlite", "rapidfuzz", "nh3", "python-iso639", "python-magic"),
        *("unstructured-client", "pypdf", "requests-toolbelt", "requests", "urllib3", "aiofiles"),
        *("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "rich", "pygments"),
        *("markdown-it-py", "mdurl", "shellingham", "smart-open", "cloudpathlib"),
        *("annotated-doc", "installer", "httpcore", "httpx", "setuptools", "wrapt"),
        *("beautifulsoup4", "soupsieve", "html5lib", "webencodings"),
        # tokenizers asks for these to download models, which a box never does.
        *("huggingface-hub", "hf-xet", "fsspec", "filelock", "tqdm", "httpx2", "httpcore2"),
        *("certifi", "h11", "anyio", "click", "truststore"),
        # onnxruntime asks for these to quantise and to read models as Python objects.
        *("protobuf", "flatbuffers"),
        # cffi asks for it to read C, which only its compiler does.
        "pycparser",
        # python-pptx asks for it to write charts.
        "xlsxwriter",
    }
)
"""Distributions that are asked for and never imported, by their normalised names."""

_FOLDERS = {"tests", "test", "testing_data", "include", "benchmarks", "_examples"}
"""Folders of packages that no program imports."""
_ENDINGS = (".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".hpp", ".cc", ".cpp", ".a", ".lib", ".rst")
_LICENCE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|AUTHORS)", re.IGNORECASE)
_SUBTREES = (
    # For C programs: Python's module has all of it within. Not the small one for providers: without
    # it each start warns of that.
    "onnxruntime/capi/libonnxruntime.so",
    "onnxruntime/tools/",
    "onnxruntime/quantization/",
    "onnxruntime/transformers/",
    "onnxruntime/datasets/",
    "numpy/f2py/",
    "numpy/distutils/",
    "lxml/isoschematron/",
    "lxml/includes/",
)
"""What large packages bring for other purposes than running."""


def normal(name: str) -> str:
    """Return a distribution's name as the package index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(file: str) -> bool:
    """Return whether a file of a wheel is of use on a box."""
    path = PurePosixPath(file)
    if path.parts[0].endswith(".dist-info"):
        return True
    if _LICENCE.search(path.name):
        return True
    if path.parts[0].endswith(".data"):  # scripts and manual pages
        return False
    if file.startswith(_SUBTREES):
        return False
    if path.name.endswith(_ENDINGS):
        return False
    return not _FOLDERS.intersection(path.parts[:-1])


def slim(wheel: Path, folder: Path, strip: object = None) -> Path:
    """Write a wheel anew with what is needed, and with its bytecode; return it.

    Bytecode is not checked against its source: nobody writes to an installed version, and a clock
    that was set back must not make every start slow.

    Args:
        wheel: the wheel as it was downloaded or built.
        folder: where the new one goes, under the same name.
        strip: callable that takes and gives back a library's bytes; None leaves them.
    """
    target = folder / wheel.name
    record: list[tuple[str, str, int]] = []
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w") as new:
        name = ""
        for info in sorted(old.infolist(), key=lambda i: i.filename):
            if info.is_dir() or not needed(info.filename):
                continue
            if info.filename.endswith(".dist-info/RECORD"):
                name = info.filename
                continue
            content = old.read(info)
            if callable(strip) and re.search(r"\.so(\.\d+)*$", info.filename):
                content = strip(content)
            for path, data in ((info.filename, content), *_bytecode(info.filename, content)):
                _write(new, path, data)
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
                record.append((path, f"sha256={digest.decode()}", len(data)))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*record, (name, "", "")])
        _write(new, name, text.getvalue().encode())
    return target


def _bytecode(file: str, source: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield where the bytecode of a source file goes, and what it is; nothing for other files."""
    if not file.endswith(".py"):
        return
    try:
        code = compile(source, file, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        return  # a template, or for another Python: never imported here
    from importlib._bootstrap_external import _code_to_hash_pyc  # type: ignore[attr-defined]  # noqa: PLC0415

    data = _code_to_hash_pyc(code, importlib.util.source_hash(source), False)
    path = PurePosixPath(file)
    yield str(path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc"), bytes(data)


def _write(archive: zipfile.ZipFile, path: str, data: bytes) -> None:
    """Add a file with nothing in it that differs between two runs."""
    info = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    # A third smaller, but slow to begin: not for small files.
    info.compress_type = zipfile.ZIP_LZMA if len(data) > 65536 else zipfile.ZIP_DEFLATED
    archive.writestr(info, data)
