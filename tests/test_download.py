"""Downloads from servers that misbehave, all of them on this machine's loopback interface."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import torch
from tool_scripts import load_tool

from alphaction.checkpoints import download
from alphaction.checkpoints.model_zoo import CHECKPOINTS, Checkpoint, find_checkpoint, format_table
from alphaction.errors import UserError


def checkpoint_bytes() -> bytes:
    stream = io.BytesIO()
    torch.save({"model": {"weight": torch.arange(50_000.0)}}, stream)
    return stream.getvalue()


class Server:
    """Serves ``content`` as the mode says and counts what it was asked for."""

    def __init__(self, content: bytes, mode: str) -> None:
        self.content, self.mode, self.ranges = content, mode, []
        self.etag = '"one"'
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/model.pth"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.ranges.append(request.headers.get("Range"))
        if self.mode in ("404", "503"):
            return request.send_error(int(self.mode), "out of order")
        if self.mode == "page":
            return self.send(request, 200, b"<html>Please agree</html>", {"Content-Type": "text/html"})
        start = 0
        asked = request.headers.get("Range")
        same = request.headers.get("If-Range", self.etag) == self.etag
        if asked and same and "no ranges" not in self.mode:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(self.content)}")
                request.send_header("Content-Length", "0")
                return request.end_headers()
        body = self.content[start:]
        headers = {"Content-Length": str(len(body)), "ETag": self.etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        if self.mode == "breaks off":
            body = body[:60_000]
        elif self.mode == "breaks off at once":
            body = b""
        elif self.mode.startswith("announces more"):
            headers["Content-Length"] = str(len(body) + 1000)
        elif self.mode == "announces no number":
            headers["Content-Length"] = f"{len(body):,}"
        elif self.mode == "announces less":
            headers["Content-Length"] = str(len(body) - 1000)
        self.send(request, 206 if start else 200, body, headers)

    @staticmethod
    def send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(ConnectionError):
            request.wfile.write(body)
        request.close_connection = True

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Downloads(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "models" / "model.pth"
        self.part = self.path.with_name("model.pth.part")
        self.content = checkpoint_bytes()
        self.sha = hashlib.sha256(self.content).hexdigest()[:8]
        quiet = mock.patch.object(download, "tqdm", lambda *args, **kwargs: contextlib.nullcontext(mock.Mock()))
        quiet.start()
        self.addCleanup(quiet.stop)
        # A proxy of the environment is not asked for addresses of this machine.
        direct = mock.patch.dict(os.environ, no_proxy="*", NO_PROXY="*")
        direct.start()
        self.addCleanup(direct.stop)

    def serve(self, mode: str, content: bytes | None = None) -> Server:
        server = Server(self.content if content is None else content, mode)
        self.addCleanup(server.close)
        return server

    def fetch(self, server: Server, sha: str | None = None) -> Path:
        return download.fetch(server.url, self.path, self.sha if sha is None else sha, pause=0.0)

    def refused(self, server: Server, *words: str, sha: str | None = None) -> None:
        with self.assertRaises(UserError) as caught:
            self.fetch(server, sha)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertFalse(self.path.exists())

    def assert_complete(self) -> None:
        self.assertEqual(self.path.read_bytes(), self.content)
        self.assertEqual([entry.name for entry in self.path.parent.iterdir()], ["model.pth"])

    def test_a_good_server(self):
        self.assertEqual(self.fetch(self.serve("good")), self.path)
        self.assert_complete()

    def test_a_server_that_breaks_off_is_asked_for_the_rest(self):
        server = self.serve("breaks off")
        self.fetch(server)
        self.assert_complete()
        self.assertEqual(server.ranges[:3], [None, "bytes=60000-", "bytes=120000-"])

    def test_what_an_earlier_run_left_is_continued(self):
        self.part.parent.mkdir()
        self.part.write_bytes(self.content[:100_000])
        server = self.serve("good")
        self.fetch(server)
        self.assert_complete()
        self.assertEqual(server.ranges, ["bytes=100000-"])

    def test_a_complete_part_is_taken_as_it_is(self):
        self.part.parent.mkdir()
        self.part.write_bytes(self.content)
        self.fetch(self.serve("good"))
        self.assert_complete()

    def test_a_part_that_is_longer_than_the_file_starts_again(self):
        self.part.parent.mkdir()
        self.part.write_bytes(self.content + b"more")
        self.fetch(self.serve("good"))
        self.assert_complete()

    def test_a_file_that_was_replaced_meanwhile_comes_whole(self):
        server = self.serve("breaks off at once")
        self.refused(server, "lost the connection")
        server.mode = "breaks off"
        with mock.patch.object(download, "PATIENCE", 0), self.assertRaises(UserError):
            self.fetch(server, "")
        self.assertGreater(self.part.stat().st_size, 0)
        self.content = checkpoint_bytes()[:-1] + b"\0"  # another file of the same length
        server.content, server.etag, server.mode = self.content, '"two"', "good"
        self.fetch(server, hashlib.sha256(self.content).hexdigest())
        self.assert_complete()

    def test_a_server_without_ranges_starts_again(self):
        self.part.parent.mkdir()
        self.part.write_bytes(b"x" * 1000)
        self.fetch(self.serve("no ranges"))
        self.assert_complete()

    def test_a_server_that_never_delivers(self):
        server = self.serve("breaks off at once")
        self.refused(server, "lost the connection 4 times", server.url, "again")

    def test_a_busy_server(self):
        server = self.serve("503")
        self.refused(server, "lost the connection", "out of order")
        self.assertEqual(len(server.ranges), download.PATIENCE)

    def test_a_server_that_announces_too_much(self):
        self.fetch(self.serve("announces more"))  # asked for the rest, it says that there is none
        self.assert_complete()
        self.path.unlink()
        server = self.serve("announces more, no ranges")
        self.refused(server, "lost the connection", f"{len(self.content)} of {len(self.content) + 1000}")

    def test_a_server_that_announces_too_little(self):
        server = self.serve("announces less")
        self.refused(server, "SHA-256", self.sha)
        self.refused(server, "not a complete checkpoint", sha="")
        self.assertFalse(self.part.exists())

    def test_a_server_that_announces_no_number(self):
        self.fetch(self.serve("announces no number"))
        self.assert_complete()

    def test_a_wrong_file(self):
        other = checkpoint_bytes().replace(b"weight", b"height")
        self.refused(self.serve("good", other), "SHA-256", "expected " + self.sha)
        self.assertFalse(self.part.exists())

    def test_a_page_that_asks_for_consent(self):
        self.refused(self.serve("page"), "web page", "browser")
        self.refused(self.serve("good", b"<html>agree</html>"), "web page", sha="")

    def test_a_file_that_is_gone(self):
        server = self.serve("404")
        self.refused(server, "404", server.url)
        self.assertEqual(len(server.ranges), 1)

    def test_a_file_without_a_known_sum_must_be_complete(self):
        legacy = io.BytesIO()
        torch.save({"weight": torch.arange(10.0)}, legacy, _use_new_zipfile_serialization=False)
        for body, whole in (
            (b"\x80\x02}.", True),
            (b"\x80\x02}q", False),
            (b"(dp0\n.", True),
            (b"Not found.", False),
            (self.content, True),
            (self.content[:-40], False),
            (legacy.getvalue(), True),
            (b"", False),
        ):
            server = self.serve("good", body)
            server.url = server.url.replace(".pth", ".pkl")
            with self.subTest(body[:20], whole=whole):
                if whole:
                    self.fetch(server, "").unlink()
                else:
                    self.refused(server, "not a complete checkpoint" if body else "an empty file", sha="")

    def test_a_file_that_is_there_is_checked_and_not_fetched(self):
        self.path.parent.mkdir()
        self.path.write_bytes(self.content)
        entry = Checkpoint("some", "zoo", "R50", "data", "", "http://127.0.0.1:9/model.pth", self.sha, "model.pth")
        self.assertEqual(download.download_checkpoint(entry, self.path.parent), self.path)
        self.path.write_bytes(self.content[:-5])
        with self.assertRaisesRegex(UserError, "SHA-256"):
            download.download_checkpoint(entry, self.path.parent)


class Table(unittest.TestCase):
    def test_names_and_files_are_unique_and_addresses_end_with_the_file(self):
        self.assertEqual(len({entry.name for entry in CHECKPOINTS}), len(CHECKPOINTS))
        for entry in CHECKPOINTS:
            self.assertTrue(entry.file)
            if entry.url:
                self.assertTrue(entry.url.startswith("https://"))
                self.assertTrue(entry.url.endswith("/" + entry.file))
            if entry.sha256:
                self.assertTrue(entry.file.endswith(f"-{entry.sha256}.pth"))
            self.assertIn(entry.name, format_table())

    def test_a_wrong_name_is_answered_with_a_like_one(self):
        with self.assertRaisesRegex(UserError, "mmaction2_r50_8x8_k400"):
            find_checkpoint("mmaction_r50_8x8_k400")

    def test_a_file_that_may_be_of_no_use_is_told_before_it_is_fetched(self):
        doubtful = [entry for entry in CHECKPOINTS if entry.doubt]
        self.assertEqual(
            doubtful, [entry for entry in CHECKPOINTS if entry.zoo == "PySlowFast" and "R101_50_50" in entry.file]
        )
        for entry in doubtful:
            line = next(line for line in format_table().splitlines() if line.startswith(entry.name))
            self.assertTrue(line.endswith("yes, may not convert"), line)
            with (
                mock.patch("alphaction.checkpoints.download.download_checkpoint", side_effect=UserError("stop")),
                contextlib.redirect_stdout(io.StringIO()) as printed,
                self.assertRaises(UserError),
            ):
                load_tool("download_pretrained").main([entry.name])
            self.assertIn("non-local blocks", printed.getvalue())

    def test_the_command_for_conversion_is_quoted(self):
        downloaded = Path("my models/a.b.pyth")
        with (
            mock.patch("alphaction.checkpoints.download.download_checkpoint", return_value=downloaded),
            contextlib.redirect_stdout(io.StringIO()) as printed,
        ):
            load_tool("download_pretrained").main(["pytorchvideo_r50_8x8_k400"])
        self.assertEqual(
            shlex.split(printed.getvalue().split("Convert it: ")[1]),
            ["alphaction", "convert-weights", "my models/a.b.pyth", "--out", "my models/a.b_converted.pth"],
        )

    def test_a_checkpoint_behind_a_page_says_what_to_do(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(UserError, "browser"):
            load_tool("download_pretrained").main(["alphaction_r50_4x16_k700", "--out-dir", folder])


if __name__ == "__main__":
    unittest.main()
