"""A stream over a loopback connection that ends, sends garbage, stalls and is taken up again."""

from __future__ import annotations

import http.server
import threading
import unittest
from collections.abc import Callable

import cv2
import numpy as np

from alphaction.video.movie_stream import MovieStream


def jpeg(value: int) -> bytes:
    return cv2.imencode(".jpg", np.full((48, 64, 3), value, np.uint8))[1].tobytes()


class Server:
    """Answers each request with the next of some scripts; without one left it refuses."""

    def __init__(self, scripts: list[Callable[[Callable[[bytes], None]], None]]) -> None:
        left = list(scripts)
        self.requests = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler) -> None:
                self.requests += 1
                if not left:
                    handler.send_error(404)
                    return
                handler.send_response(200)
                handler.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
                handler.end_headers()
                try:
                    left.pop(0)(handler.wfile.write)
                except OSError:  # the reader has gone
                    pass

            def log_message(handler, *words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/video.mjpg"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def send(write: Callable[[bytes], None], value: int, count: int) -> None:
    for _ in range(count):
        picture = jpeg(value)
        write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n")


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "_read_ahead" in thread.name]


class Live(unittest.TestCase):
    def serve(self, *scripts: Callable[[Callable[[bytes], None]], None]) -> Server:
        server = Server(list(scripts))
        self.addCleanup(server.close)
        return server

    def test_a_stream_that_ends_and_sends_garbage_is_taken_up_again(self):
        server = self.serve(
            lambda write: send(write, 50, 12),
            lambda write: write(bytes(range(256)) * 40),
            lambda write: send(write, 200, 12),
        )
        stream = MovieStream(server.address, patience=3.0)
        found = [(time, int(frame.mean())) for time, frame in stream]
        values = [value for _, value in found]
        self.assertGreater(sum(abs(value - 50) < 4 for value in values), 3)
        self.assertGreater(sum(abs(value - 200) < 4 for value in values), 3)
        times = [time for time, _ in found]
        self.assertEqual(times, sorted(times))
        self.assertGreaterEqual(server.requests, 4)

    def test_a_stream_that_stalls_is_waited_for(self):
        hold = threading.Event()
        self.addCleanup(hold.set)

        def stall(write: Callable[[bytes], None]) -> None:
            send(write, 50, 12)
            hold.wait(30)

        server = self.serve(stall, lambda write: send(write, 200, 12))
        stream = MovieStream(server.address, patience=2.0)
        values = [int(frame.mean()) for _, frame in stream]
        self.assertGreater(sum(abs(value - 200) < 4 for value in values), 3)
        self.assertEqual(stream.interruptions, 1)

    def test_one_that_stops_reading_leaves_no_thread(self):
        server = self.serve(lambda write: send(write, 50, 400))
        frames = iter(MovieStream(server.address, patience=2.0))
        next(frames)
        self.assertEqual(len(readers()), 1)
        frames.close()
        self.assertEqual(readers(), [])
