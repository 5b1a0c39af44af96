"""Downloading a checkpoint over HTTP: resumed after a break, checked, and complete or absent."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from tqdm import tqdm

from ..errors import UserError, file_problem
from .model_zoo import Checkpoint
from .torch_files import is_torch_file, other_format

CHUNK = 1 << 20
# Attempts in a row that bring no new byte.
PATIENCE = 4
TIMEOUT_S = 30.0
# What a pickle begins with: its protocol from 2 on, before that the dict.
_PICKLED_DICT = (b"\x80", b"(dp", b"}q")


def download_checkpoint(entry: Checkpoint, folder: str | Path, pause: float = 2.0) -> Path:
    """Download a checkpoint into ``folder``; an existing file is only checked.

    Args:
        pause: seconds before a new attempt.

    Returns:
        the path of the file.

    Raises:
        UserError: the file is behind a page, cannot be fetched, or is not the published one.
    """
    path = Path(folder) / entry.file
    if not entry.url:
        raise UserError(
            f"{entry.name} is behind a file-sharing page that asks for consent; open {entry.zoo}'s model "
            f"zoo in a browser and save {entry.file} as {path}, or start from another zoo's weights."
        )
    if path.exists():
        problem = file_problem(path)
        if problem:
            raise UserError(f"{path} {problem}, expected the downloaded file; move it away or name another --out-dir.")
        _check(path, entry.sha256, entry.url)
        return path
    return fetch(entry.url, path, entry.sha256, pause)


def fetch(url: str, path: Path, sha256: str = "", pause: float = 2.0) -> Path:
    """Download ``url`` to ``path``.

    What has arrived is kept in ``<path>.part`` and continued, also by a later call; only a complete and checked file
    gets its name.

    Args:
        sha256: the first digits of the file's SHA-256; "" only checks that the file is complete.

    Raises:
        UserError: says what the server answered and what to do.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _Transfer(url, part, pause).run()
        try:
            _check(part, sha256, url)
        except UserError:
            _discard(part)
            raise
        part.replace(path)
        _note(part).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}); free space or name another folder with --out-dir."
        ) from error
    return path


class _Transfer:
    """The transfer of one file; ``run`` returns when all announced bytes have arrived."""

    def __init__(self, url: str, part: Path, pause: float) -> None:
        self.url, self.part, self.pause = url, part, pause
        self.total: int | None = None

    @property
    def size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def run(self) -> None:
        idle = 0
        while True:
            before = self.size
            problem: Exception | None = None
            try:
                if self.attempt():
                    return
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code != 429:
                    raise UserError(
                        f"{self.url} answered {error.code} {error.reason}, expected the file; it may have "
                        f"moved: find it with a browser and save it as {self._target}."
                    ) from error
                problem = error
            except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
                problem = error
            idle = 0 if self.size > before else idle + 1
            if idle >= PATIENCE:
                reason = problem.reason if isinstance(problem, urllib.error.URLError) else problem
                of = f" of {self.total}" if self.total else ""
                raise UserError(
                    f"{self.url} lost the connection {PATIENCE} times in a row with {self.size}{of} bytes received"
                    f"{f' ({reason})' if problem else ''}; run the same command again to continue, "
                    f"or save the file with a browser as {self._target}."
                ) from problem
            time.sleep(self.pause)

    @property
    def _target(self) -> str:
        return str(self.part).removesuffix(".part")

    def attempt(self) -> bool:
        """Read until the server ends; whether all bytes have arrived."""
        start = self.size
        headers = {"User-Agent": "alphaction"}
        if start:
            headers["Range"] = f"bytes={start}-"
            # A file that has been replaced on the server since is sent from its start.
            if _note(self.part).exists():
                headers["If-Range"] = _note(self.part).read_text(encoding="ascii")
        try:
            response = urllib.request.urlopen(urllib.request.Request(self.url, headers=headers), timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise
            # The server has nothing after the received bytes: they are the file, or more than it.
            length = error.headers.get("Content-Range", "").rpartition("/")[2]
            if length == str(start):
                return True
            _discard(self.part)
            return False
        with response:
            return self._receive(response, start)

    def _receive(self, response: http.client.HTTPResponse, start: int) -> bool:
        if response.headers.get_content_type() == "text/html":
            raise UserError(
                f"{self.url} answered with a web page, expected a file; it may ask for consent: open it "
                f"in a browser and save the file as {self._target}."
            )
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0  # no ranges: the file is sent from its start
            self._remember(response)
        length = response.headers.get("Content-Length", "")
        self.total = start + int(length) if length.isdecimal() else None  # not "12,000"
        with (
            open(self.part, "r+b" if start else "wb") as file,
            tqdm(
                total=self.total,
                initial=start,
                unit="B",
                unit_scale=True,
                desc=Path(self._target).name,
                dynamic_ncols=True,
            ) as bar,
        ):
            file.seek(start)
            while chunk := _read(response):
                file.write(chunk)
                bar.update(len(chunk))
        return self.total is None or self.size == self.total

    def _remember(self, response: http.client.HTTPResponse) -> None:
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if tag and not tag.startswith("W/") and tag.isascii():
            _note(self.part).write_text(tag, encoding="ascii")
        else:
            _note(self.part).unlink(missing_ok=True)


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes, also those that came before a connection broke."""
    try:
        return response.read(CHUNK)
    except http.client.IncompleteRead as error:
        return error.partial


def _note(part: Path) -> Path:
    """File with the server's version mark of ``part``."""
    return part.with_name(part.name + ".tag")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _check(path: Path, sha256: str, url: str) -> None:
    """Refuse a file that is not the published one or is incomplete."""
    if sha256:
        found = _digest(path)
        if not found.startswith(sha256):
            raise UserError(
                f"{path} has the SHA-256 {found[: len(sha256)]}..., expected {sha256}...; it is not the "
                f"file at {url}: delete it and fetch it again."
            )
        return
    with open(path, "rb") as file:
        head = file.read(16)
        file.seek(max(path.stat().st_size - 1, 0))
        last = file.read(1)
    # A zip archive ends with its directory, a pickle with a dot; torch's older files have no mark at their end.
    if is_torch_file(path):
        complete = zipfile.is_zipfile(path) or not head.startswith(b"PK")
    else:
        complete = head.startswith(_PICKLED_DICT) and last == b"."
    if not complete:
        size = path.stat().st_size
        what = other_format(path) or f"{size} bytes that are not a complete checkpoint"
        raise UserError(
            f"{path} holds {what}, expected a file written by torch.save or pickle; delete it and fetch "
            f"{url} again, with a browser if it asks for consent."
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
