"""Runs MiniStack with fixes.

MiniStack sends a whole version of an object, where S3 honours the Range header:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

And it closes a connection that has been idle for 75 seconds, where the SDK of Terraform's provider keeps one for 90
(https://pkg.go.dev/github.com/aws/aws-sdk-go-v2/aws/transport/http, DefaultHTTPTransportIdleConnTimeout). A request sent at
that moment may be carried out without an answer; the SDK sends it again, and a create then finds that the resource already
exists. So it is always the client that closes a connection. What Terraform's provider asks twice all the same, answered.py answers.

Topics deliver as topics.py says and streams of tables as streams.py says, REST APIs are defined and answer as rest_apis.py says, and
HTTP APIs tell functions paths as http_apis.py says. Distributed Maps have batches as maps.py says. Requests are counted as counted.py says.

With FANFOLD_THROTTLE in its environment, all requests of the functions pass what throttle.py does to them; with AUTH=true, it
authorises as authorised.py says.
"""

import asyncio
import os

import hypercorn.asyncio
from hypercorn.asyncio.tcp_server import TCPServer
from ministack.app import main
from ministack.services import s3, sns, sqs, stepfunctions

import answered
import authorised
import counted
import http_apis
import maps
import rest_apis
import streams
import throttle
import topics

# Far longer than any SDK keeps an idle connection.
KEEP_ALIVE = 3600
# How soon a connection is given up that its client has closed. hypercorn keeps it for as long as an idle one, so that a thousand
# functions that came and went would leave no file to open.
NOTICED = 5

whole = s3._get_object
serve = hypercorn.asyncio.serve


def ranged(bucket, key, headers, query=None):
    status, answer, body = whole(bucket, key, headers, query)
    wanted = headers.get("range")
    if status != 200 or not wanted:
        return status, answer, body
    size = len(body)
    part = s3._parse_range(wanted, size)
    if part is None:
        refusal = {"Content-Type": "application/xml", "Content-Range": f"bytes */{size}"}
        return 416, refusal, s3._xml_body(s3._range_error_xml(bucket, key))
    start, end = part
    # Checksums of the whole object do not apply to a part of it.
    answer = {name: value for name, value in answer.items() if not name.lower().startswith("x-amz-checksum-")}
    answer["Content-Length"] = str(end + 1 - start)
    answer["Content-Range"] = f"bytes {start}-{end}/{size}"
    return 206, answer, body[start : end + 1]


def patient(app, config, **settings):
    config.keep_alive_timeout = KEEP_ALIVE
    if os.environ.get("AUTH") == "true":
        app = authorised.before(app)
    if os.environ.get("FANFOLD_THROTTLE"):
        app = throttle.before(app, config)
    return serve(counted.Counted(answered.Kept(app)), config, **settings)


async def until_gone(connection):
    """Closes an idle connection when its client has."""
    for _ in range(int(KEEP_ALIVE / NOTICED)):
        try:
            await asyncio.wait_for(connection.context.terminated.wait(), NOTICED)
            break
        except TimeoutError:
            if connection.reader.at_eof():
                break
    await asyncio.shield(connection._initiate_server_close())


s3._get_object = ranged
topics.Topics(sns, sqs).install()
rest_apis.install()
http_apis.install()
streams.install()
maps.Maps(stepfunctions).install()
TCPServer._idle_timeout = until_gone
hypercorn.asyncio.serve = patient

if __name__ == "__main__":
    main()
