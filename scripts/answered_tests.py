"""Tests that a request which Terraform's provider repeats is executed once."""

import asyncio
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import answered

PROVIDER = "APN/1.0 HashiCorp/1.0 Terraform/1.11.4"


class KeptTest(unittest.TestCase):
    def setUp(self):
        self.statuses = []
        self.executed = 0
        self.kept = answered.Kept(self.app)

    async def app(self, scope, receive, send):
        self.executed += 1
        status = self.statuses.pop(0) if self.statuses else 200
        await asyncio.sleep(0)
        if status is None:
            raise ConnectionError
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % self.executed})

    async def ask(self, invocation="a", agent=PROVIDER):
        headers = [(b"user-agent", agent.encode())] + ([(b"amz-sdk-invocation-id", invocation.encode())] if invocation else [])
        said = []

        async def send(message):
            said.append(message)

        await self.kept({"type": "http", "headers": headers}, None, send)
        return said[0]["status"], said[1]["body"]

    def asked(self, *requests):
        async def all_of_them():
            return [await request for request in requests]

        return asyncio.run(all_of_them())

    def test_what_was_done_is_not_done_again(self):
        self.assertEqual(self.asked(self.ask(), self.ask(), self.ask("b")), [(200, b"1"), (200, b"1"), (200, b"2")])

    def test_one_under_way_is_waited_for(self):
        async def both():
            return await asyncio.gather(self.ask(), self.ask())

        self.assertEqual(asyncio.run(both()), [(200, b"1")] * 2)

    def test_what_failed_is_done_again(self):
        self.statuses = [503, 200]
        self.assertEqual(self.asked(self.ask(), self.ask(), self.ask()), [(503, b"1"), (200, b"2"), (200, b"2")])

    def test_what_ended_without_an_answer_is_done_again(self):
        self.statuses = [None, 200]

        async def twice():
            with self.assertRaises(ConnectionError):
                await self.ask()
            return await self.ask()

        self.assertEqual(asyncio.run(twice()), (200, b"2"))

    def test_of_others_each_request_is_executed(self):
        self.asked(self.ask(agent="aws-sdk-rust/1"), self.ask(agent="aws-sdk-rust/1"), self.ask(invocation=""), self.ask(invocation=""))
        self.assertEqual(self.executed, 4)

    def test_what_is_kept_is_bounded(self):
        self.asked(*(self.ask(str(n)) for n in range(answered.MOST + 5)))
        self.assertEqual(len(self.kept.answers), answered.MOST)


if __name__ == "__main__":
    unittest.main()
