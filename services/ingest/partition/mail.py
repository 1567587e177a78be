"""E-mail to elements: .eml by the standard library, Outlook's .msg by python-oxmsg.

Not by unstructured's partitioners, which take every short line for a heading; that for .eml
also asks for a library that is not installed with it.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.ingest.partition import encoding, html, text
from services.ingest.partition.document import Document
from services.runtime.errors import Rejected

Progress = Callable[[int, int | None], None]

_MAX_SIZE = 64 * 2**20


def read_eml(path: Path, progress: Progress) -> Document:
    """Read a message as it travels; attachments are named, not read.

    Raises:
        Rejected: it is damaged or too large.
    """
    _fits(path)
    try:
        with path.open("rb") as file:
            message: Any = email.message_from_binary_file(file, policy=email.policy.default)
        names = [part.get_filename() for part in message.walk() if part.get_filename()]
        subject = " ".join(str(message.get("Subject", "")).split())
        head = [(name, str(message.get(name, ""))) for name in ("From", "To", "Date")]
        body = message.get_body(preferencelist=("html", "plain"))
        elements = _body(body) if body else []
    except (MemoryError, RecursionError, Rejected):
        raise
    except Exception as error:
        raise _damaged(error) from error
    progress(1, 1)
    return _document(subject, head, elements, names)


def _body(part: Any) -> list[Any]:
    data = part.get_payload(decode=True) or b""
    if part.get_content_subtype() == "html":
        return html.elements(data)
    try:
        content = data.decode(part.get_content_charset() or "")
    except (LookupError, UnicodeDecodeError):
        content = encoding.decode(data)
    return text.elements(content)


def read_msg(path: Path, progress: Progress) -> Document:
    """Read a message as Outlook keeps it; attachments are named, not read.

    Raises:
        Rejected: it is damaged or too large.
    """
    _fits(path)
    from oxmsg import Message  # noqa: PLC0415

    try:
        message = Message.load(str(path))
        names = [part.file_name for part in message.attachments if part.file_name]
        sent = message.sent_date
        head = [("From", message.sender or ""), ("Date", str(sent) if sent else "")]
        subject = " ".join((message.subject or "").replace("\0", " ").split())
        page = message.html_body
        elements = html.elements(page.encode()) if page else text.elements(message.body or "")
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise _damaged(error) from error
    progress(1, 1)
    return _document(subject, head, elements, names)


def _document(
    subject: str, head: list[tuple[str, str]], elements: list[Any], names: list[str]
) -> Document:
    from unstructured.documents.elements import (  # noqa: PLC0415
        ElementMetadata,
        NarrativeText,
        Title,
    )

    lines = [f"{name}: {' '.join(value.split())}" for name, value in head if value.strip()]
    if names:
        lines.append(f"Attachments, which are not read: {', '.join(names[:50])}")
    found: list[Any] = []
    if subject:
        found.append(Title(text=subject, metadata=ElementMetadata(category_depth=0)))
    if lines and elements:
        found.append(NarrativeText(text="\n".join(lines)))
    for element in elements:
        if isinstance(element, Title):
            element.metadata.category_depth = (element.metadata.category_depth or 0) + 1
    return Document(found + elements, subject)


def _fits(path: Path) -> None:
    if path.stat().st_size > _MAX_SIZE:
        raise Rejected(
            "read message",
            f"the message is larger than {_MAX_SIZE // 2**20} MB",
            "save its attachments and add those",
        )


def _damaged(error: Exception) -> Rejected:
    return Rejected(
        "read message",
        f"the message is damaged ({type(error).__name__})",
        "save it anew from the mail program and add that",
    )
