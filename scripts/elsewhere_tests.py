"""Tests of what `make test-endpoint` runs on an emulator that somebody else started."""

import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import elsewhere
import functions
from toolbox import Failure

TESTS = functions.TESTS / "end_to_end"


def tests_of_suite():
    """The names of all end-to-end tests, as `--list` tells them."""
    found = []
    for file in sorted(TESTS.glob("*.rs")):
        module = "" if file.stem == "main" else f"{file.stem}::"
        found += [module + name for name in re.findall(r"#\[tokio::test[^\n]*\n(?:#\[[^\n]*\n)*async fn (\w+)", file.read_text())]
    return found


class Elsewhere(unittest.TestCase):
    def test_what_is_left_out_are_tests(self):
        tests = tests_of_suite()
        skipped = elsewhere.left_out(tests)
        self.assertLess(0, len(skipped))
        self.assertLess(len(skipped), len(tests) / 2)
        self.assertEqual(skipped["map::a_map_runs_a_worker_for_each_chunk_of_a_batch"], elsewhere.LEFT_OUT["map::"])
        with self.assertRaisesRegex(Failure, "no test: .*map::"):
            elsewhere.left_out([test for test in tests if not test.startswith("map::")])

    def test_it_says_how_many_are_left_out_and_why(self):
        told = elsewhere.told(["a", "b::1", "b::2", "c"], {"b::1": "it is b", "b::2": "it is b", "c": "it is c"})
        self.assertTrue(told.startswith("1 of 4 tests; left out are\n  2: it is b\n  1: it is c\n  and the pipeline sfn: its Distributed Map"), told)

    def test_pipelines_that_can_be_deployed_call_nobody_and_have_no_api(self):
        kept = elsewhere.pipelines(functions.PIPELINES.read_text())
        self.assertEqual({name for name in kept if name in ("sync", "chunked", "sns", "reports", "web")}, {"sync", "chunked", "sns", "reports", "web"})
        for name in ("sfn", "own", "consumer"):
            self.assertNotIn(name, kept)
        self.assertFalse([name for name, parts in kept.items() if "records_api" in parts or "records_by" in parts])

    def test_what_tests_made_is_known_by_its_name(self):
        names = ("contract", "contract.fifo", "contract-blob", "contract-billing-events", "contracts", "contractors-2026", "my-contract", "contract.csv")
        self.assertEqual([name for name in names if elsewhere.OWN.fullmatch(name)], list(names[:4]))

    def test_settings_of_the_users_own_do_not_reach_it(self):
        given = {"LIMITS": "{}", "TF_VAR_alarms": "true", "ARCH": "arm64", "PATH": "/bin"}
        before = dict(elsewhere.os.environ)
        elsewhere.os.environ.update(given)
        try:
            found = elsewhere.environment("http://there", functions.TESTS)
        finally:
            elsewhere.os.environ.clear()
            elsewhere.os.environ.update(before)
        self.assertEqual([found.get(name) for name in given], [None, None, "arm64", "/bin"])
        self.assertEqual((found["AWS_ENDPOINT_URL"], found["FANFOLD_TEST_WITHOUT"]), ("http://there", "sfn"))


if __name__ == "__main__":
    unittest.main()
