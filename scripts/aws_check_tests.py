"""Tests of how an account is checked: what is reported, that it stays within its bounds, and that all is removed.

Run them with the Python that `emulator.py python` prints, which has botocore.
"""

import argparse
import base64
import contextlib
import io
import json
import os
import re
import signal
import sys
import threading
import time
import unittest
import zlib
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import botocore.exceptions

sys.path.insert(0, str(Path(__file__).parent))

import aws_check
import aws_checks
import aws_report
import aws_site
from aws_report import FAILED, PASSED, UNDECIDED, Check, Trial
from scratch import Scratch
from toolbox import Failure

ACCOUNT = "123456789012"


def check(name, run, seconds=60):
    return Check(name, f"Title of {name}", "it is so", "https://docs.aws.amazon.com/x", "it was tried", 0.1, seconds, run)


def passes(trial):
    trial.see("value", 7)
    return PASSED, "it was so"


def fails(_):
    return FAILED, "it was not so"


def breaks(_):
    raise KeyError("part")


def never_ends(trial):
    trial.see("begun", "yes")
    threading.Event().wait()


def is_interrupted(trial):
    trial.see("begun", "yes")
    signal.raise_signal(signal.SIGINT)


class Quiet(Scratch):
    """Ctrl-C as scripts have it, and nothing on the terminal."""

    def setUp(self):
        super().setUp()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        self.said = self.enter(contextlib.redirect_stdout(io.StringIO()))
        self.complained = self.enter(contextlib.redirect_stderr(io.StringIO()))

    def enter(self, context):
        self.addCleanup(context.__exit__, None, None, None)
        return context.__enter__()


class RedactionTest(unittest.TestCase):
    def redacted(self, text, **environment):
        with mock.patch.dict(os.environ, environment, clear=True):
            return aws_report.redacted(text, ACCOUNT)

    def test_numbers_of_accounts_go_wherever_they_are(self):
        for text in (f"arn:aws:sqs:eu-west-1:{ACCOUNT}:a", f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/a", f"a-input-{ACCOUNT}",
                     f"arn:aws:iam::{ACCOUNT}:root", f"x{ACCOUNT}y", "arn:aws:iam::210987654321:role/other"):
            self.assertNotRegex(self.redacted(text), r"\d{12}", text)

    def test_other_numbers_stay(self):
        self.assertEqual(self.redacted("1073741824 bytes, id 1a2b3c4d5e6f, 98765432109876"), "1073741824 bytes, id 1a2b3c4d5e6f, 98765432109876")

    def test_credentials_and_names_go(self):
        secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        text = (f"AKIAIOSFODNN7EXAMPLE {secret} X-Amz-Signature=0123abcd&x=1 user/anna.b is not authorized,"
                f" assumed-role/Admin/anna.b@example.com key/1234abcd-12ab-34cd-56ef-1234567890ab")
        told = self.redacted(text, AWS_SECRET_ACCESS_KEY=secret)
        for word in ("AKIA", secret, "0123abcd", "anna", "Admin", "1234abcd-12ab"):
            self.assertNotIn(word, told)
        self.assertIn("is not authorized", told)

    def test_the_words_that_an_emulator_takes_are_no_secrets(self):
        self.assertEqual(self.redacted("a test", AWS_SECRET_ACCESS_KEY="test"), "a test")

    def test_the_whole_report_is_redacted_at_any_depth(self):
        found = [{"name": "a", "dollars": 0.1, "seen": {f"of {ACCOUNT}": [{"x": f"arn:aws:s3:::b-{ACCOUNT}"}]}}]
        document = aws_report.report({"account": ACCOUNT, "region": "eu-west-1", "problem": f"no right for {ACCOUNT}"}, found, [f"b-{ACCOUNT}"])
        self.assertNotIn(ACCOUNT, json.dumps(document))
        self.assertEqual(document["region"], "eu-west-1")
        self.assertNotIn("account", document)


class BoundsTest(Quiet):
    def test_all_checks_together_cost_less_than_was_promised(self):
        self.assertLess(aws_report.budget(aws_checks.CHECKS), aws_report.MOST_DOLLARS)
        with self.assertRaises(ValueError):
            aws_report.budget(aws_checks.CHECKS * 2)

    def test_what_the_sizes_come_to_is_within_the_bounds(self):
        bounds = {each.name: each.dollars for each in aws_checks.CHECKS}
        table = aws_check.MOST_RECORDS * aws_checks.units(800) * aws_report.WRITE_UNIT
        self.assertLess(table, bounds["new-table"])
        chunks = aws_check.MOST_BYTES / 900_000
        large = chunks * (10 * aws_checks.units(1850) * aws_report.WRITE_UNIT + 3 * aws_report.S3_WRITE)
        self.assertLess(large, bounds["large-file"])

    def test_every_check_names_a_page_of_aws(self):
        for each in aws_checks.CHECKS:
            self.assertTrue(each.page.startswith("https://docs.aws.amazon.com/"), each.name)
        self.assertEqual(len({each.name for each in aws_checks.CHECKS}), 7)

    def test_sizes_above_those_that_are_paid_for_are_refused(self):
        read = aws_check.at_most(1 << 30)
        self.assertEqual([read("24MiB"), read("1GiB"), read("7")], [24 << 20, 1 << 30, 7])
        for text in ("2GiB", "0", "-1", "many", "1.5GiB"):
            with self.assertRaises(argparse.ArgumentTypeError):
                read(text)

    def test_requests_are_paid_by_their_kind(self):
        requests = {"s3.PutObject": 1000, "s3.DeleteObject": 1000, "s3.GetObject": 1000, "dynamodb.BatchWriteItem": 40, "sqs.SendMessage": 10,
                    "lambda.Invocation": 1000, "lambda.MegabyteMillisecond": 5_120_000}
        self.assertAlmostEqual(aws_report.price(requests, 1_000_000, 0), 0.005 + 0.0004 + 0.625 + 5e-6)
        self.assertAlmostEqual(aws_report.price({}, 0, 1_000_000), 16.6667)


class VerdictTest(Quiet):
    def try_all(self, *checks, seconds=60.0):
        found = []
        with contextlib.suppress(KeyboardInterrupt):
            aws_check.try_all(checks, lambda: Trial(None, None), time.monotonic() + seconds, found)
        return found

    def test_one_that_fails_does_not_stop_the_others(self):
        found = self.try_all(check("a", fails), check("b", breaks), check("c", passes))
        self.assertEqual([each["verdict"] for each in found], [FAILED, UNDECIDED, PASSED])
        self.assertIn("part", found[1]["reason"])

    def test_one_that_takes_too_long_is_ended_and_tells_what_it_saw(self):
        first, second = self.try_all(check("a", never_ends, seconds=0.05), check("b", passes))
        self.assertEqual((first["verdict"], first["seen"]), (UNDECIDED, {"begun": "yes"}))
        self.assertIn("not over after", first["reason"])
        self.assertEqual(second["verdict"], PASSED)

    def test_the_time_of_all_bounds_each(self):
        found = self.try_all(check("a", never_ends), check("b", passes), seconds=0.05)
        self.assertEqual([each["verdict"] for each in found], [UNDECIDED, UNDECIDED])
        self.assertEqual(found[1]["reason"], "no time was left for it")

    def test_an_interrupt_ends_all_and_tells_what_was_seen(self):
        found = self.try_all(check("a", is_interrupted), check("b", passes))
        self.assertEqual([(each["verdict"], each["reason"], each["seen"]) for each in found],
                         [(UNDECIDED, "it was interrupted", {"begun": "yes"})])


class RemovalTest(Quiet):
    """Tests of what is deployed and removed, with a stand-in for deployment.py."""

    def setUp(self):
        super().setUp()
        self.ran, self.statuses, self.meanwhile = [], {}, lambda what: None
        self.kms = mock.Mock()
        self.kms.create_key.return_value = {"KeyMetadata": {"KeyId": "k", "Arn": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k"}}
        self.options = SimpleNamespace(
            work=self.scratch / "work", states=self.scratch, package=Path("x.zip"), command=Path("fanfold"), emulator=False,
            goal="ENV=aws", region="eu-west-1", account={"number": ACCOUNT, "partition": "aws"})
        self.deployments = aws_check.Deployments(self.options, "check-1-", self.scratch, lambda _: self.kms)
        self.enter(mock.patch.object(aws_check, "carried_out", self.carried_out))
        self.enter(mock.patch.object(aws_check, "Site", lambda *_: "a site"))

    def carried_out(self, command, environment):
        what = command[2]
        self.ran.append((what, environment["SCOPE"]))
        self.environment = environment
        self.meanwhile(what)
        statuses = self.statuses.get(what, [])
        return statuses.pop(0) if statuses else 0

    def run_checks(self, *checks):
        self.found = []
        return aws_check.on_a_deployment(
            list(checks), lambda: self.deployments.site(VARIANTS="chunked"), self.found, time.monotonic(), self.deployments)

    def test_all_is_removed_when_the_checks_are_over(self):
        self.file("check-1-terraform.tfstate.backup")
        self.file("check-1-terraform.tfstate.lock")
        self.assertEqual(self.run_checks(check("a", passes)), ("", []))
        self.assertEqual(list(self.scratch.glob("check-1-*")), [])
        self.assertEqual(self.ran, [("apply", "check-1-"), ("destroy", "check-1-")])

    def test_all_is_removed_after_a_check_that_breaks(self):
        self.run_checks(check("a", breaks))
        self.assertEqual(self.ran[-1], ("destroy", "check-1-"))

    def test_what_a_failed_deployment_made_is_removed_and_no_check_is_begun(self):
        self.statuses = {"apply": [1]}
        problem, remains = self.run_checks(check("a", passes))
        self.assertIn("could not be deployed", problem)
        self.assertEqual((self.ran[-1], remains), (("destroy", "check-1-"), []))
        self.assertEqual(self.found[0]["verdict"], UNDECIDED)
        self.assertIn("not begun", self.found[0]["reason"])

    def test_all_is_removed_after_an_interrupt(self):
        problem, _ = self.run_checks(check("a", is_interrupted), check("b", passes))
        self.assertEqual(problem, "it was interrupted")
        self.assertEqual(self.ran[-1], ("destroy", "check-1-"))
        self.assertEqual([each["verdict"] for each in self.found], [UNDECIDED, UNDECIDED])

    def test_all_is_removed_after_a_request_to_end(self):
        problem, _ = self.run_checks(check("a", lambda _: signal.raise_signal(signal.SIGTERM)))
        self.assertEqual((problem, self.ran[-1]), ("it was interrupted", ("destroy", "check-1-")))

    def test_all_is_removed_after_an_interrupt_of_the_deployment(self):
        self.meanwhile = lambda what: what == "apply" and signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.run_checks(check("a", passes))[0], "it was interrupted")
        self.assertEqual(self.ran, [("apply", "check-1-"), ("destroy", "check-1-")])

    def test_a_removal_is_not_interrupted(self):
        self.meanwhile = lambda what: what == "destroy" and signal.raise_signal(signal.SIGINT)
        self.assertEqual(self.run_checks(check("a", passes)), ("", []))
        self.assertIn("still removing", self.complained.getvalue())

    def test_a_removal_that_fails_is_tried_again(self):
        self.statuses = {"destroy": [1]}
        self.assertEqual(self.run_checks(check("a", passes)), ("", []))
        self.assertEqual(self.ran[1:], [("destroy", "check-1-")] * 2)

    def test_what_remains_is_told_with_the_command_that_removes_it(self):
        self.statuses = {"destroy": [1, 1]}
        self.file("check-1-terraform.tfstate", json.dumps({"version": 4, "resources": [
            {"mode": "managed", "type": "aws_s3_bucket"}, {"mode": "data", "type": "aws_region"}]}))
        _, remains = self.run_checks(check("a", passes))
        self.assertEqual(remains, ["1 resources of check-1- (aws_s3_bucket); remove them with `make ENV=aws SCOPE=check-1- CONFIRM=yes destroy`"])

    def test_both_deployments_are_removed_and_then_the_key(self):
        self.run_checks(check("a", self.with_key))
        self.assertEqual(self.ran[2:], [("destroy", "check-1-key-"), ("destroy", "check-1-")])
        self.kms.schedule_key_deletion.assert_called_once_with(KeyId="k", PendingWindowInDays=7)

    def with_key(self, trial):
        trial.deployments.site("key-", VARIANTS="chunked", KMS_KEY_ARN=trial.deployments.key())
        return passes(trial)

    def test_a_key_stays_while_something_may_be_encrypted_with_it(self):
        self.statuses = {"destroy": [1, 1]}
        _, remains = self.run_checks(check("a", self.with_key))
        self.kms.schedule_key_deletion.assert_not_called()
        self.assertIn("schedule-key-deletion", remains[-1])

    def test_a_key_of_the_user_is_used_and_stays(self):
        with mock.patch.dict(os.environ, KMS_KEY_ARN="arn:mine"):
            self.assertEqual(self.deployments.key(), "arn:mine")
        self.deployments.remove()
        self.kms.schedule_key_deletion.assert_not_called()

    def test_settings_of_the_user_do_not_reach_a_deployment(self):
        mine = {"SCHEMA": "mine.json", "TF_VAR_concurrency": "900", "TF_VAR_scope": "mine-",
                "STATE_BUCKET": "mine", "PIPELINES": "mine.json", "ARCH": "arm64"}
        with mock.patch.dict(os.environ, mine):
            self.deployments.site(VARIANTS="chunked")
        self.assertEqual({name for name in mine if name in self.environment}, {"ARCH"})
        self.assertEqual((self.environment["PROTECT_DATA"], self.environment["VARIANTS"]), ("false", "chunked"))
        self.assertLess(json.loads(self.environment["LIMITS"])["dollars"], 1)
        self.assertEqual(json.loads(self.environment["TF_VAR_memory"]), {"scatter": 512, "gather": 512})

    def test_it_says_before_what_it_makes_and_what_an_earlier_one_left(self):
        self.file("check-0-terraform.tfstate")
        text = aws_check.told(self.options, "check-1-", aws_checks.CHECKS)
        for part in (ACCOUNT, "eu-west-1", "at most $0.", "SCOPE=check-1- CONFIRM=yes destroy", "left check-0-:"):
            self.assertIn(part, text)


class EndingTest(Quiet):
    def test_a_command_that_is_not_waited_for_ends_in_order(self):
        note = self.scratch / "note"
        script = f"trap 'echo ended >{note}; exit 0' INT; echo begun >{note}; while :; do read -t 0.05 <> <(:); done"
        with self.assertRaises(aws_check.TimeUp), aws_check.within(1):
            aws_check.carried_out(["bash", "-c", script], dict(os.environ))
        self.assertEqual(note.read_text(), "ended\n")

    def test_an_account_is_not_touched_without_consent(self):
        with mock.patch.dict(os.environ, CONFIRM=""), mock.patch.object(sys, "stdin", io.StringIO("yes\n")):
            with self.assertRaisesRegex(Failure, "CONFIRM=yes"):
                aws_check.ask()
        with mock.patch.dict(os.environ, CONFIRM="yes"):
            aws_check.ask()

    def status(self, *verdicts, problem="", remains=(), must_pass=()):
        found = [{"name": name, "verdict": verdict} for name, verdict in zip("abc", verdicts)]
        return aws_check.concluded(SimpleNamespace(work=self.scratch, must_pass=must_pass), found, problem, remains)

    def test_the_status_says_whether_something_is_wrong(self):
        self.assertEqual(self.status(PASSED, UNDECIDED), 0)
        self.assertEqual(self.status(PASSED, FAILED), 1)
        self.assertEqual(self.status(PASSED, problem="no region"), 1)
        self.assertEqual(self.status(PASSED, problem=aws_check.INTERRUPTED), 130)
        self.assertEqual(self.status(PASSED, problem=aws_check.INTERRUPTED, remains=["a bucket"]), 1)
        self.assertEqual(self.status(PASSED, remains=["a bucket"]), 1)
        self.assertEqual(self.status(PASSED, UNDECIDED, must_pass=["a"]), 0)
        self.assertEqual(self.status(PASSED, UNDECIDED, must_pass=["b"]), 1)


class ReportTest(Scratch):
    def written(self, *entries, problem="", remains=()):
        head = {"target": "AWS", "date": "2026-11-26 12:00 UTC", "commit": "abc1234", "region": "eu-west-1", "architecture": "x86_64",
                "account": ACCOUNT, "problem": problem, "seconds": 100.0}
        aws_report.write(self.scratch, aws_report.report(head, list(entries), list(remains)))
        return (self.scratch / "report.md").read_text(), json.loads((self.scratch / "report.json").read_text())

    def entry(self, verdict, reason, **seen):
        trial = Trial(None, None)
        trial.seen, trial.dollars = seen, 0.02
        return aws_report.entry(check("a", None), verdict, reason, trial, 1.5)

    def test_a_failed_check_tells_what_was_assumed_done_and_seen(self):
        text, document = self.written(self.entry(FAILED, "3 records failed", bucket=f"a|b-{ACCOUNT}"))
        for part in ("abc1234", "eu-west-1", "| [a](#a) | failed | 1.5 | 0.0200 | 0.10 |", "**failed**: 3 records failed.",
                     "Assumed: it is so ([AWS](https://docs.aws.amazon.com/x))", "Done: it was tried", "| bucket | a\\|b-{account} |",
                     "Nothing: all that was made is removed."):
            self.assertIn(part, text)
        self.assertEqual((document["checks"][0]["verdict"], document["dollars"]), (FAILED, 0.02))
        self.assertNotIn(ACCOUNT, text + json.dumps(document))

    def test_what_ended_it_and_what_remains_are_told(self):
        text, _ = self.written(self.entry(UNDECIDED, "it was interrupted"), problem="it was interrupted", remains=["2 resources of check-1-"])
        self.assertIn("**It ended early: it was interrupted**", text)
        self.assertIn("- 2 resources of check-1-", text)
        self.assertNotIn("Nothing:", text)


class CheckTest(Quiet):
    """Tests of verdicts, on a site that says what it is told to."""

    def summary(self, records, failed=0, chunks=4):
        return {"batchId": "b", "state": "SUCCEEDED" if not failed else "PARTIALLY_FAILED",
                "records": {"total": records, "succeeded": records - failed, "failed": failed},
                "chunks": {"total": chunks, "failed": min(failed, 1)}, "results": {"key": "b/results.csv"},
                "startedAt": "2026-11-26T12:00:00.000Z", "finishedAt": "2026-11-26T12:00:10.500Z"}

    def trial(self, summary, **client):
        site = mock.MagicMock()
        site.submit.return_value, site.dollars.return_value, site.letters.return_value = summary, 0.01, {}
        site.calls.return_value = {"dynamodb.BatchWriteItem": client.pop("writes", 80)}
        site.client.return_value = self.client = mock.MagicMock(**client)
        return Trial(site, SimpleNamespace(records=2000, output_bytes=9 << 20, bytes=1 << 20))

    def test_a_table_that_refuses_and_loses_nothing_passes(self):
        verdict, reason = aws_checks.new_table(self.trial(self.summary(2000), writes=160))
        self.assertEqual((verdict, "2.00 times" in reason), (PASSED, True))

    def test_a_table_that_refuses_nothing_decides_nothing(self):
        self.assertEqual(aws_checks.new_table(self.trial(self.summary(2000), writes=80))[0], UNDECIDED)

    def test_records_that_a_busy_table_costs_fail(self):
        trial = self.trial(self.summary(2000, failed=500), writes=160)
        verdict, reason = aws_checks.new_table(trial)
        self.assertEqual((verdict, trial.seen["failed chunks"], "'failed': 500" in reason), (FAILED, 1, True))

    def parts(self, body=b"rows", kind="FULL_OBJECT", etag='"abc-2"', checksum=None):
        head = {"ETag": etag, "ContentLength": 4, "ChecksumType": kind,
                "ChecksumCRC32": checksum or base64.b64encode(zlib.crc32(b"rows").to_bytes(4, "big")).decode()}
        trial = self.trial(self.summary(4608))
        self.client.head_object.return_value = head
        self.client.get_object.return_value = {"Body": mock.Mock(iter_chunks=lambda _: [body])}
        return aws_checks.parts_of_output(trial)[0]

    def test_parts_are_judged_by_the_checksum_of_the_whole(self):
        self.assertEqual(self.parts(), PASSED)
        self.assertEqual(self.parts(body=b"rosw"), FAILED)
        self.assertEqual(self.parts(kind="COMPOSITE"), UNDECIDED)
        self.assertEqual(self.parts(etag='"abc"'), UNDECIDED)

    def deleted(self, line):
        trial = self.trial(self.summary(10))
        site = trial.site
        site.name, site.parts.return_value = "check1", {
            "queues": {"process": "https://x/1/a-process"}, "functions": {"process": "a-process"}, "input_bucket": "in"}
        site.fanfold.return_value = {"scatteredAt": "now", "batchId": "b", "state": "PROCESSING"}
        site.logged.side_effect = [[], ["other"], [line]]
        self.client.list_event_source_mappings.return_value = {"EventSourceMappings": [
            {"UUID": "dead", "EventSourceArn": "arn:x:a-process-dead"}, {"UUID": "u", "EventSourceArn": "arn:x:a-process"}]}
        self.client.get_event_source_mapping.return_value = {"State": "Disabled"}
        with mock.patch.object(aws_checks, "until", lambda look: next(filter(None, iter(look, object())))):
            found = aws_checks.deleted_version(trial)
        self.client.update_event_source_mapping.assert_called_with(UUID="u", Enabled=True)
        return found[0]

    def test_a_version_that_is_gone_is_told_from_one_that_may_not_be_read(self):
        self.assertEqual(self.deleted('{"error": "version 1 of check1-gone.csv was deleted after the batch had begun"}'), PASSED)
        self.assertEqual(self.deleted('{"error": "could not read s3://in/check1-gone.csv: AccessDenied"}'), FAILED)
        with self.assertRaises(StopIteration, msg="what was refused of another call"):
            self.deleted('{"error": "could not update the table a-ledger: AccessDeniedException"}')

    def test_an_object_that_is_not_there_yet_is_asked_for_again(self):
        absent = botocore.exceptions.ClientError({"Error": {"Code": "404"}}, "HeadObject")
        refused = botocore.exceptions.ClientError({"Error": {"Code": "403"}}, "HeadObject")
        with mock.patch.object(aws_site.time, "sleep"):
            self.assertEqual(aws_site.once_there(mock.Mock(side_effect=[absent, absent, {"x": 1}]), Key="k"), {"x": 1})
            with self.assertRaises(botocore.exceptions.ClientError):
                aws_site.once_there(mock.Mock(side_effect=[refused]), Key="k")

    def test_a_concurrency_that_was_taken_is_given_back(self):
        trial = self.trial(self.summary(10_000))
        trial.site.submit.side_effect = Failure("no command")
        with self.assertRaises(Failure):
            aws_checks.small_quota(trial)
        self.client.delete_function_concurrency.assert_called_once()

    def test_a_key_needs_a_deployment_of_its_own(self):
        self.assertEqual(aws_checks.own_key(Trial(None, None))[0], UNDECIDED)

    def test_rows_have_their_width_and_their_keys(self):
        site = aws_check.Site.__new__(aws_check.Site)
        site.name = "c"
        rows = site.rows("x", 5, 100, 80, 10).decode().splitlines(keepends=True)
        self.assertEqual({len(row) for row in rows}, {80})
        self.assertEqual(len({row.split(",")[0] for row in rows}), 10)
        self.assertTrue(all(re.fullmatch(r"c-x-\d{7},\d+\.25,x+\n", row) for row in rows))


if __name__ == "__main__":
    unittest.main()
