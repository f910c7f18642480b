"""Answers a request that Terraform's provider repeats as it was answered the first time.

Of some 3,000 requests of a deployment, the provider's HTTP client drops five to ten answers: it closes the connection when the
first bytes of an answer arrive, and its SDK sends the request again, with the same amz-sdk-invocation-id. A create then finds that
the resource already exists. AWS would say so as well, but there it is not a test that fails. What failed is not kept: it is done again.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

import asyncio
import collections

from throttle import header

PROVIDER = "APN/1.0 HashiCorp"
# Requests of which the answer is kept: far more than are sent between a request and its repetition.
MOST = 1000


class Kept:
    """Passes requests on, and keeps the answers to the provider."""

    def __init__(self, app):
        self.app = app
        self.answers = collections.OrderedDict()

    async def __call__(self, scope, receive, send):
        invocation = header(scope, b"amz-sdk-invocation-id") if scope["type"] == "http" else ""
        if not invocation or not header(scope, b"user-agent").startswith(PROVIDER):
            return await self.app(scope, receive, send)
        earlier = self.answers.get(invocation)
        if earlier is not None and (answer := await earlier):
            for message in answer:
                await send(message)
            return None
        known = self.answers[invocation] = asyncio.get_running_loop().create_future()
        while len(self.answers) > MOST:
            self.answers.popitem(last=False)
        answer = []

        async def sent(message):
            answer.append(message)
            await send(message)

        try:
            await self.app(scope, receive, sent)
        finally:
            whole = bool(answer) and answer[0].get("status", 500) < 300 and not answer[-1].get("more_body", False)
            known.set_result(answer if whole else None)
        return None
