"""Notices that another process of the run is gone, so that nobody waits for it for ever."""

from __future__ import annotations

import atexit
import contextlib
import hmac
import os
import secrets
import selectors
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

# Seconds for connecting at the start.
PATIENCE = 60
GOODBYE = -1
_TOKEN_BYTES = 16
_NUMBER = struct.Struct("!i")


class Watch:
    """Connections from every process to process 0, over which nothing is sent while all is well.

    The system closes them when a process ends, however it ends, and keep-alive packets find out within half a minute
    when a machine is gone. Process 0 then tells the others; each prints one sentence and exits with status 1, also
    from within an exchange that would never come back. ``stop`` says goodbye first.

    Args:
        rank: number of this process.
        world_size: number of processes.
        gather: a value of this process -> those of all.

    Raises:
        OSError: a connection could not be made, in all processes alike.
    """

    def __init__(self, rank: int, world_size: int, gather: Callable[[Any], list[Any]]) -> None:
        self.rank, self.world_size = rank, world_size
        self._peers: dict[socket.socket, int] = {}
        failure = None
        server = socket.create_server(("", 0), backlog=world_size) if rank == 0 else None
        offer = (server.getsockname()[1], secrets.token_bytes(_TOKEN_BYTES)) if server else None
        port, token = gather(offer)[0]
        try:
            if server:
                self._accept(server, token)
            else:
                connection = socket.create_connection((os.environ["MASTER_ADDR"], port), PATIENCE)
                connection.sendall(token + _NUMBER.pack(rank))
                self._peers[connection] = 0
        except OSError as error:
            failure = str(error)
        failure = next(filter(None, gather(failure)), None)
        if failure:
            self._close()
            raise OSError(failure)
        for peer in self._peers:
            peer.settimeout(None)
            _keep_alive(peer)
        # Workers that load data are forked: a connection that they hold as well would outlive this process.
        os.register_at_fork(after_in_child=self._close)
        atexit.register(self.stop)
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def _accept(self, server: socket.socket, token: bytes) -> None:
        with server:
            server.settimeout(PATIENCE)
            while len(self._peers) < self.world_size - 1:
                peer, _ = server.accept()
                peer.settimeout(PATIENCE)
                hello = peer.recv(_TOKEN_BYTES + _NUMBER.size, socket.MSG_WAITALL)
                if hmac.compare_digest(hello[:_TOKEN_BYTES], token):
                    self._peers[peer] = _NUMBER.unpack(hello[_TOKEN_BYTES:])[0]
                else:
                    peer.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for peer, rank in self._peers.items():
                selector.register(peer, selectors.EVENT_READ, rank)
            while selector.get_map():
                for key, _ in selector.select():
                    selector.unregister(key.fileobj)
                    try:
                        said = key.fileobj.recv(_NUMBER.size)
                    except OSError:
                        said = b""
                    lost = _NUMBER.unpack(said)[0] if len(said) == _NUMBER.size else key.data
                    if lost != GOODBYE:
                        self._end(lost)

    def _end(self, lost: int) -> None:
        self._tell(lost)
        print(f"error: Process {lost} of {self.world_size} is gone, so process {self.rank} ends too; see the output of "
              f"process {lost} (nothing there: it was killed, for example for want of memory), and start again to go "
              "on from the last checkpoint.", file=sys.stderr, flush=True)
        os._exit(1)

    def _tell(self, number: int) -> None:
        for peer in self._peers:
            with contextlib.suppress(OSError):  # gone, or closed
                peer.sendall(_NUMBER.pack(number))

    def _close(self) -> None:
        for peer in self._peers:
            peer.close()

    def wait(self, seconds: float) -> None:
        """Give the watch so long to find out that a process is gone; if it is, this does not return."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """Say goodbye: what ends from now on ends as it should."""
        atexit.unregister(self.stop)
        self._tell(GOODBYE)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # After 15 seconds of silence three questions, 5 seconds apart, where the system can be told so.
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
