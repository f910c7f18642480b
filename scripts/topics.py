"""Topics that deliver as SNS does, where MiniStack's deliver otherwise.

- The group of a message is forwarded to queues that are not FIFO, also if it was published with others:
  https://docs.aws.amazon.com/sns/latest/api/API_PublishBatchRequestEntry.html
- All messages of a request together are at most as long as a single one:
  https://docs.aws.amazon.com/sns/latest/dg/sns-batch-api-actions.html
- What cannot be delivered to a queue, because it is gone or its policy does not allow it, goes to the queue of the
  subscription's redrive policy: https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
"""

import json


class Attributes(dict):
    """The attributes of a message, which go with it to where it is delivered, and its group."""

    group = ""


class Topics:
    def __init__(self, sns, sqs):
        """MiniStack's modules of these services."""
        self.sns, self.sqs = sns, sqs
        self.parse, self.publish_batch, self.fan_out, self.deliver = (
            sns._parse_batch_entries, sns._publish_batch, sns._fanout, sns._deliver_to_sqs)

    def grouped(self, params):
        entries = self.parse(params)
        for entry in entries:
            entry["message_attributes"] = Attributes(entry["message_attributes"])
            entry["message_attributes"].group = entry["message_group_id"]
        return entries

    def limited(self, params):
        length = sum(self.sns._message_payload_size(entry["message"], entry["message_attributes"]) for entry in self.parse(params))
        if length > self.sns._SNS_MAX_PAYLOAD_BYTES:
            return self.sns._error("BatchRequestTooLong", "The length of all the batch messages put together is more than the limit.", 400)
        return self.publish_batch(params)

    def forwarded(self, topic, message_id, message, subject, structure="", attributes=None, message_group_id="", message_dedup_id=""):
        group = message_group_id or getattr(attributes, "group", "")
        self.fan_out(topic, message_id, message, subject, structure, attributes, message_group_id=group, message_dedup_id=message_dedup_id)

    def delivered(self, endpoint, *message, topic_arn="", **how):
        if not self.takes(endpoint, topic_arn):
            endpoint = self.redrive_target(topic_arn, endpoint) or endpoint
        self.deliver(endpoint, *message, topic_arn=topic_arn, **how)

    def takes(self, queue, topic):
        """Whether a queue is there and takes messages of a topic."""
        account = topic.split(":")[4]
        return self.sqs._queue_by_arn(queue) is not None and self.sqs.queue_policy_allows(queue, "sns.amazonaws.com", topic, account)

    def redrive_target(self, topic, endpoint):
        """Where a queue's subscription sends what the queue does not take, or None."""
        subscriptions = self.sns._topic_by_arn_any_scope(topic)["subscriptions"]
        policies = [subscription["attributes"].get("RedrivePolicy") for subscription in subscriptions
                    if (subscription["protocol"], subscription["endpoint"]) == ("sqs", endpoint)]
        return next((json.loads(policy)["deadLetterTargetArn"] for policy in policies if policy), None)

    def install(self):
        self.sns._parse_batch_entries, self.sns._publish_batch = self.grouped, self.limited
        self.sns._fanout, self.sns._deliver_to_sqs = self.forwarded, self.delivered
