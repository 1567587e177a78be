"""The inbox: a folder whose files become documents by themselves.

Looked at again and again: shares of other machines tell nobody when a file changes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from schemas.knowledge import EditDocument, RemoveDocument
from services.ingest.absence import above, away
from services.ingest.clerk import Clerk
from services.ingest.folders import LONGEST_NOTE, NOTE, FolderNote, labels_for, read_note
from services.ingest.labels import Labels, changed
from services.ingest.library import Library
from services.ingest.marking import MARK, marked
from services.ingest.naming import file_name
from services.ingest.originals import digest
from services.ingest.scan import Seen, look_at, scan, written_now
from services.ingest.taken import File, Taken
from services.runtime.config import Ingest
from services.runtime.errors import Rejected, Retryable
from services.runtime.process import Health
from services.runtime.watching import Effects, Look, Watch

log = logging.getLogger(__name__)

SHARE = 100
"""Looking takes at most one part in so many of the time."""
_LONGEST_PAUSE_S = 30.0
_EAGER = 4
"""While a file is waited for, looks are so many times as frequent."""
_AGAIN_S = 30.0
_TROUBLE = "inbox"
_NEVER = Look(-1, 0)
"""How no file looks."""


class Inbox:
    """Watches the folder, and has the clerk do the rest."""

    def __init__(
        self,
        folder: Path,
        config: Ingest,
        *,
        taken: Taken,
        library: Library,
        clerk: Clerk,
        health: Health,
    ) -> None:
        self._folder = folder
        self._config = config
        self._taken = taken
        self._library = library
        self._clerk = clerk
        self._health = health
        self._files: dict[str, File] = {}
        self._notes: dict[str, FolderNote] = {}
        self._notes_seen: dict[str, Look] | None = None
        self._wrong: list[str] = []
        self._mark = ""
        self._mounts: set[str] = set()
        self._away: list[str] = []
        self._nameless: dict[str, str] = {}
        """Files that became no document, and why."""
        self._looking_s = 0.0
        self.settled = False
        """Whether all that lies there is taken in, as far as the last look could tell."""

    async def run(self) -> None:
        """Watch, forever; what happened while nobody did is found at the first look."""
        self._files = await asyncio.to_thread(self._as_they_are, await self._taken.all())
        self._mark = await self._taken.fact("mark")
        self._mounts = set(msgspec.json.decode(await self._taken.fact("mounts") or "[]"))
        watch = Watch(
            {path: file.look for path, file in self._files.items()},
            settle_s=self._config.inbox_settle_s,
            grace_s=self._config.inbox_grace_s,
        )
        while True:
            try:
                if await self._is_there():
                    await self._once(watch)
            except Retryable as error:
                self._health.trouble(_TROUBLE, f"the inbox waits: {error}")
            self.settled = not watch.unsettled and not watch.missing
            every = self._config.inbox_scan_s / (_EAGER if watch.unsettled else 1)
            await asyncio.sleep(min(max(every, SHARE * self._looking_s), _LONGEST_PAUSE_S))

    def _as_they_are(self, files: dict[str, File]) -> dict[str, File]:
        """Return known files as they look now where they are the same.

        Those that were refused look like none: a limit may have been raised meanwhile.
        """
        found = {}
        for path, file in files.items():
            look = look_at(self._folder / path)
            if not file.sha256:
                look = _NEVER
            elif look and (look.size, look.mtime_ns) != (file.look.size, file.look.mtime_ns):
                look = None
            found[path] = msgspec.structs.replace(file, look=look or file.look)
        return found

    async def _is_there(self) -> bool:
        """Make the folder and mark it, or see that it is the one that was marked."""
        try:
            mark = await asyncio.to_thread(marked, self._folder, self._mark, free=not self._files)
        except OSError as error:
            self._health.trouble(_TROUBLE, f"inbox {self._folder}: {MARK}: {error.strerror}")
            return False
        if mark is None:
            # Its documents must not go because a share is not mounted.
            self._health.trouble(
                _TROUBLE,
                f"inbox {self._folder}: it is not the folder it was, its {MARK} is missing or"
                " another one (is it mounted? If it is meant to be another one, write"
                f" {self._mark or 'a word of your own'} into a file of that name in it)",
            )
            return False
        if mark != self._mark:
            await self._taken.keep_fact("mark", mark)
            self._mark = mark
        return True

    async def _once(self, watch: Watch) -> None:
        began = time.perf_counter()
        seen = await asyncio.to_thread(scan, self._folder)
        self._looking_s = time.perf_counter() - began
        for path, file in self._files.items():
            if path not in seen.files and seen.hides(path):
                seen.files[path] = file.look
        await self._read_notes(seen)
        now = time.monotonic()
        effects = watch.look(seen.files, now, time.time_ns())
        await self._take(watch, effects, now)
        await self._see_what_is_away(seen, watch)
        for path in effects.gone:
            # A person removed the document: that is told by nobody's absence.
            if self._is_away(path) and await self._library.state(self._files[path].doc_id):
                continue
            await self._gone(path, watch)
        self._tell(seen)

    async def _see_what_is_away(self, seen: Seen, watch: Watch) -> None:
        missing = list(watch.missing)
        lost = self._mounts - seen.mounts
        self._away = away(missing, seen.files, seen.folders, lost)
        # A mount point is one for as long as something of it is missed.
        mounts = seen.mounts | (lost & {folder for path in missing for folder in above(path)})
        if mounts != self._mounts:
            await self._taken.keep_fact("mounts", msgspec.json.encode(sorted(mounts)).decode())
            self._mounts = mounts

    def _is_away(self, path: str) -> bool:
        return self._config.inbox_deletes and not set(self._away).isdisjoint(above(path))

    def _tell(self, seen: Seen) -> None:
        troubles = [
            f"{self._folder}/{_readable(folder)}: {why}" for folder, why in seen.unreadable.items()
        ] + self._wrong
        if self._config.inbox_deletes:
            troubles += [
                f"{self._folder}/{_readable(folder)}: all its files went at once; their documents"
                " stay (is it mounted? If they were deleted, delete the folder too)"
                for folder in self._away
            ]
        troubles += [
            f"{_readable(path)[:80]}: {why}"
            for path, why in self._nameless.items()
            if path in self._files
        ]
        if troubles:
            self._health.trouble(_TROUBLE, "inbox: " + "; ".join(troubles[:5]))
        else:
            self._health.well(_TROUBLE)

    # -- what folders say ---------------------------------------------------------------------

    async def _read_notes(self, seen: Seen) -> None:
        """Read the notes again where one changed, and say of each document what is new."""
        notes = {f: n for f, n in (self._notes_seen or {}).items() if seen.hides(f"{f}/")}
        notes |= seen.notes
        if notes == self._notes_seen:
            return
        self._notes, self._wrong = await asyncio.to_thread(self._all_notes, notes, self._notes)
        for file in list(self._files.values()):
            labels = labels_for(_readable(file.path), self._notes)
            if labels != file.labels:
                await self._say(file, labels)
        self._notes_seen = notes

    def _all_notes(
        self, folders: Iterable[str], before: dict[str, FolderNote]
    ) -> tuple[dict[str, FolderNote], list[str]]:
        notes: dict[str, FolderNote] = {}
        wrong: list[str] = []
        for folder in folders:
            path = self._folder / folder / NOTE
            name = _readable(folder)
            try:
                with path.open("rb") as file:
                    notes[name] = read_note(file.read(LONGEST_NOTE + 1).decode("utf-8"))
            except OSError as error:
                wrong.append(f"{name}/{NOTE}: {error.strerror}")
            except UnicodeDecodeError:
                wrong.append(f"{name}/{NOTE}: it is not UTF-8")
            except Rejected as error:
                wrong.append(f"{name}/{NOTE}: {error.reason}")
            if name not in notes and name in before:
                notes[name] = before[name]  # what it said last, until it is put right
        return notes, wrong

    async def _say(self, file: File, labels: Labels) -> None:
        """Say of a document what its folders say now and did not before."""
        request = EditDocument(doc_id=file.doc_id, **changed(file.labels, labels))
        try:
            await self._clerk.edit(request)
        except Rejected as error:  # it was removed meanwhile
            log.info("%s", error)
        except Retryable as error:  # the library knows; the retriever follows
            log.info("%s", error)
        await self._keep(msgspec.structs.replace(file, labels=labels))

    # -- files --------------------------------------------------------------------------------

    async def _take(self, watch: Watch, effects: Effects, now: float) -> None:
        for path in (*effects.hasty, *effects.take):
            on_disk = self._folder / path
            writing = await asyncio.to_thread(written_now, on_disk)
            if writing or (path in effects.hasty and writing is None):
                watch.later(path, now)
                continue
            look = await asyncio.to_thread(look_at, on_disk)
            if look is None:
                continue
            try:
                file = await self._one(path, look, watch)
            except (Retryable, Rejected) as error:
                log.warning("%s waits: %s", _readable(path), error)
                watch.later(path, now, _AGAIN_S)
                continue
            if await asyncio.to_thread(look_at, on_disk) == look:
                await self._keep(file)
                watch.taken(path, look)
            else:  # it changed while it was read: once more when it has come to rest
                watch.later(path, now)

    async def _one(self, path: str, look: Look, watch: Watch) -> File:
        """Take one file: new, changed, or known under another name."""
        labels = labels_for(_readable(path), self._notes)
        self._nameless.pop(path, None)
        nameless = File(path=path, doc_id="", sha256="", look=look, labels=labels)
        try:
            name = file_name(_readable(path))
        except Rejected:  # no document can be called that; see `_tell`
            self._nameless[path] = "its name is too long, give it a shorter one"
            return nameless
        if holder := self._holder(path, name, watch):
            self._nameless[path] = (
                f"{holder!r} has the same name in other letters ({path!r}), rename one of them"
            )
            return nameless
        before = self._files.get(path)
        known = await self._clerk.revisions.named(name)
        made = before.made if before and before.doc_id == known else known is None
        try:
            if before is None and (moved := await self._moved(path, look, name, watch)):
                file = msgspec.structs.replace(moved, path=path, look=look)
                await self._taken.put(file, instead_of=moved.path)
                self._files.pop(moved.path, None)
                watch.forgotten(moved.path)
                if labels != file.labels:
                    await self._say(file, labels)
                return msgspec.structs.replace(file, labels=labels)
            said = Labels(**changed(before.labels, labels)) if before and before.sha256 else labels
            added = await self._clerk.take(self._folder / path, name, said)
        except Rejected as error:
            if await asyncio.to_thread(look_at, self._folder / path) is None:
                raise Retryable("take", "it went away") from error
            reason = f"{error.reason} ({error.hint})" if error.hint else error.reason
            told = reason.encode("utf-8", "replace").decode()
            identity = await self._clerk.refuse(name, told)
            return msgspec.structs.replace(nameless, doc_id=identity, made=made)
        log.info("%s: taken from the inbox", name)
        return msgspec.structs.replace(
            nameless, doc_id=added.state.doc_id, sha256=added.sha256, made=made
        )

    def _holder(self, path: str, name: str, watch: Watch) -> str:
        """Return another file that is there and has become the document of a name."""
        for other, file in self._files.items():
            there = other != path and file.doc_id and other not in watch.missing
            if there and file_name(_readable(other)) == name:
                return other
        return ""

    async def _moved(self, path: str, look: Look, name: str, watch: Watch) -> File | None:
        """Return what a file was taken as before it was moved here; its document has its name.

        None where it is another one. The contents decide.
        """
        gone = [self._files[old] for old in watch.missing]
        candidates = [file for file in gone if file.sha256 and file.look.size == look.size]
        if not candidates:
            return None
        sha256 = await asyncio.to_thread(digest, self._folder / path)
        for file in candidates:
            if file.sha256 == sha256 and await self._clerk.rename(file.doc_id, name):
                log.info("%s is %s now", _readable(file.path), name)
                return file
        return None

    async def _gone(self, path: str, watch: Watch) -> None:
        file = self._files.pop(path)
        watch.forgotten(path)
        own = file.doc_id and file.made
        if any(other.doc_id == file.doc_id for other in self._files.values()):
            own = False  # as where its name is written in other letters now
        state = await self._library.state(file.doc_id) if own else None
        # A document that has another name by now is no more this file's.
        if self._config.inbox_deletes and state and state.file == file_name(_readable(path)):
            log.info("%s: deleted in the inbox, and removed", state.file)
            try:
                await self._clerk.remove(RemoveDocument(doc_id=file.doc_id))
            except (Retryable, Rejected) as error:
                log.info("%s", error)  # the removal is begun, and goes on by itself
        await self._taken.drop(path)
        # One that had to stand back for it may have the name now.
        for other in [p for p, one in self._files.items() if not one.doc_id]:
            del self._files[other]
            watch.forgotten(other)
            await self._taken.drop(other)

    async def _keep(self, file: File) -> None:
        self._files[file.path] = file
        await self._taken.put(file)


def _readable(path: str) -> str:
    """Return a path as text: names of old archives may be in GB18030, or in anything."""
    raw = os.fsencode(path)
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")
