"""Tests of how the local AWS keeps connections."""

import asyncio
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import hypercorn.asyncio
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config

import local_aws


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class ConnectionsTest(unittest.TestCase):
    def setUp(self):
        self.kept, local_aws.NOTICED = local_aws.NOTICED, 0.1
        self.open = 0
        self.closed = asyncio.Event()
        self.run = TCPServer.run

        async def counted(connection):
            self.open += 1
            await self.run(connection)
            self.open -= 1
            self.closed.set()

        TCPServer.run = counted

    def tearDown(self):
        local_aws.NOTICED = self.kept
        TCPServer.run = self.run

    async def ask(self, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        return writer

    async def serve(self, act):
        config, ended = Config(), asyncio.Event()
        config.bind, config.accesslog, config.errorlog = ["127.0.0.1:0"], None, None
        sockets = config.create_sockets()
        listener = sockets.insecure_sockets[0]
        # Connections wait there until the server takes them.
        listener.listen()
        port = listener.getsockname()[1]
        config.create_sockets = lambda: sockets
        serving = asyncio.create_task(local_aws.patient(app, config, shutdown_trigger=ended.wait))
        try:
            await act(port)
        finally:
            ended.set()
            await asyncio.wait_for(serving, 20)

    def test_one_that_its_client_closed_is_given_up(self):
        async def act(port):
            writer = await self.ask(port)
            self.assertEqual(self.open, 1)
            writer.close()
            await asyncio.wait_for(self.closed.wait(), 20)
            self.assertEqual(self.open, 0)

        asyncio.run(self.serve(act))

    def test_one_that_is_idle_is_kept(self):
        async def act(port):
            idle, other = await self.ask(port), await self.ask(port)
            other.close()
            await asyncio.wait_for(self.closed.wait(), 20)
            self.assertEqual(self.open, 1)
            idle.close()

        asyncio.run(self.serve(act))


if __name__ == "__main__":
    unittest.main()
