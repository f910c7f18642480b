"""The local AWS that all engines work on: its clients, its count of requests, and what is made for the peers."""

import json
import urllib.request

import boto3
from botocore.config import Config

REGION, ACCOUNT = "us-east-1", "000000000000"
INPUT, OUTPUT, ITEMS, COUNTERS = "compare-input", "compare-output", "compare-items", "compare-counters"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


class Site:
    def __init__(self, deployment):
        self.deployment = deployment
        self.endpoint = deployment["endpoint"]
        # What looks on does not count: scripts/counted.py.
        observing = Config(user_agent_appid="uncounted", retries={"mode": "standard"}, max_pool_connections=32)
        made = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        self.client = lambda service: made.client(service, endpoint_url=self.endpoint, config=observing)
        self.s3, self.dynamodb = self.client("s3"), self.client("dynamodb")
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def prepare(self):
        """Makes the buckets and tables of the peers."""
        for bucket in (INPUT, OUTPUT):
            self.s3.create_bucket(Bucket=bucket)
        for table, key in ((ITEMS, "itemNo"), (COUNTERS, "group")):
            self.dynamodb.create_table(
                TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}])

    def requests(self):
        """How many requests arrived, by service and operation."""
        return self._counted("GET")

    def forget_requests(self):
        self._counted("DELETE")

    def _counted(self, method):
        asked = urllib.request.Request(f"{self.endpoint}/_requests", method=method, headers={"User-Agent": "app/uncounted"})
        with self.opener.open(asked, timeout=30) as told:
            return json.load(told)
