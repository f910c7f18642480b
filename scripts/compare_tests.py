"""Tests of what `make compare` finds out about an engine, and of the page that tells it."""

import sys
import tempfile
import unittest
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "benchmark" / "compare"), str(ROOT / "benchmark" / "compare" / "peers")]

import engines
import page
import record
from file import CATEGORIES, File


class Table:
    """A table of DynamoDB, as far as its items are read. It answers a part of the keys at a time."""

    def __init__(self, items):
        self.items = {item["itemNo"]["S"]: item for item in items}

    def batch_get_item(self, RequestItems):
        (table, asked), = RequestItems.items()
        keys = [key["itemNo"]["S"] for key in asked["Keys"]]
        first, rest = keys[:60], keys[60:]
        left = {table: {"Keys": [{"itemNo": {"S": key}} for key in rest]}} if rest else {}
        return {"Responses": {table: [self.items[key] for key in first if key in self.items]}, "UnprocessedKeys": left}


def items_of(file):
    return [{**{name: {"S": value} for name, value in row.items() if name != "price"}, "price": {"N": row["price"].rstrip("0")}, "own": {"S": "x"}}
            for row in file.stored()]


def totals(file):
    def counted(group):
        prices = [Decimal(row["price"]) for row in file.stored() if row["category"] == group]
        return len(prices), sum(prices, Decimal(0))
    return counted


class FileTest(unittest.TestCase):
    def setUp(self):
        self.file = File("a", 3000, 7)
        self.items = items_of(self.file)

    def test_a_file_is_the_same_each_time_and_one_record_in_a_thousand_is_invalid(self):
        self.assertEqual(self.file.bytes, File("a", 3000, 7).bytes)
        self.assertNotEqual(self.file.bytes, File("a", 3000, 8).bytes)
        self.assertEqual(len(self.file.stored()), 2997)
        self.assertEqual(len(File("a", 3000, 7, poisoned=True).stored()), 2996)

    def test_items_that_are_lost_or_wrong_are_found(self):
        self.assertEqual(self.file.wrong_items(Table(self.items), "t"), (0, 0))
        self.assertEqual(self.file.wrong_items(Table(self.items[:-5]), "t"), (5, 0))
        for change in ({"note": {"S": "another"}}, {"price": {"N": "0.5"}}, {"price": {"S": self.items[0]["price"]["N"]}}):
            self.assertEqual(self.file.wrong_items(Table([{**self.items[0], **change}, *self.items[1:]]), "t"), (0, 1))
        # One that should not have been stored.
        invalid = next(row for row in self.file.rows if row["price"] == "unknown")
        stray = {name: {"S": value} for name, value in invalid.items()}
        self.assertEqual(self.file.wrong_items(Table([*self.items, stray]), "t"), (0, 1))

    def test_counters_that_are_doubled_or_lost_are_found(self):
        right = totals(self.file)
        self.assertEqual(self.file.wrong_counts(right), 0)
        first = f"{CATEGORIES[0]} a"
        off = lambda count, total: lambda group: (right(group)[0] + count, right(group)[1] + total) if group == first else right(group)
        self.assertEqual([self.file.wrong_counts(off(*by)) for by in ((25, 1), (-3, 0), (0, Decimal("0.01")))], [25, -3, 1])

    def test_results_say_of_each_record_once_what_became_of_it(self):
        stored = {row["itemNo"] for row in self.file.stored()}
        told = [[*row.values(), "true" if row["itemNo"] in stored else "false", ""] for row in self.file.rows]
        text = lambda rows: record.results(rows).decode()
        self.assertEqual(self.file.wrong_results(text(told)), 0)
        self.assertEqual(self.file.wrong_results(text(told[1:])), 1)
        self.assertEqual(self.file.wrong_results(text([*told, told[5]])), 1)
        self.assertEqual(self.file.wrong_results(text([[*told[0][:5], "false", "why"], *told[1:]])), 1)
        self.assertEqual(self.file.wrong_results(""), 3000)


class PeersTest(unittest.TestCase):
    def test_what_peers_share_stores_what_is_right_and_counts_it(self):
        file, put, updates = File("a", 2000, 7), [], []

        class Writer:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                return False

            def put_item(self, Item):
                put.append(Item)

        items = SimpleNamespace(batch_writer=Writer)
        counters = SimpleNamespace(update_item=lambda **how: updates.append((how["Key"]["group"], how["ExpressionAttributeValues"][":count"])))
        told = record.store(iter(file.rows), items, counters)
        self.assertEqual((len(put), len(told), dict(updates)), (1998, 2000, {group: totals(file)(group)[0] for group in dict(updates)}))
        self.assertEqual(file.wrong_results(record.results(told).decode()), 0)

    def test_lines_are_those_of_code(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.py"
            path.write_text('"""What\n\nit does."""\n\nimport os  # why\n\n# A comment.\ndef a():\n    """Does."""\n    return """x"""\n')
            self.assertEqual(engines.lines_of([path]), 2)
        self.assertGreater(engines.lines_of(["python_loop.py", "record.py"]), 30)


class PageTest(unittest.TestCase):
    def test_the_page_tells_each_engine_and_what_it_lost(self):
        row = lambda engine, label, scenario, **how: {
            "engine": engine, "label": label, "scenario": scenario, "lines": 9, "records": 1000, "seconds": 2.0, "memory": 5 << 20, "said": "", "killed": 0,
            "restarts": 0, "missing": 0, "different": 0, "counted": 0, "results": 0, "requests": {"dynamodb.BatchWriteItem": 40, "s3.GET": 1}, **how}
        rows = []
        for engine, label in (("fanfold-ranged", "fanfold, ranged"), ("rust", "Rust loop")):
            rows += [row(engine, label, name) for name in ("cold", "warm", "warm", "warm", "poison")]
            rows += [row(engine, label, "twice", counted=500 if engine == "rust" else 0), row(engine, label, "killed", missing=3 if engine == "rust" else 0, restarts=1)]
        with tempfile.TemporaryDirectory() as folder:
            page.write(rows, SimpleNamespace(records=1000, target="an emulator", commit="c", repeat=3, docs=Path(folder)))
            text, plot = (Path(folder) / f"COMPARISON.{kind}" for kind in ("md", "svg"))
            text, plot = text.read_text(), plot.read_text()
        told = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
        self.assertIn("Rust loop", told)
        self.assertIn("| Rust loop | 9 | 2.0 | 2.0 | 1.0 × | 41 | 5 | 0 | 0 |", text)
        self.assertRegex(text, r"\| Rust loop \| 0 \| \+500 \| 1 × \| 2\.0 \| 3 \|")
        # 1,000 items at $0.625 for a million, and a GET.
        self.assertIn("| Rust loop | $0.62 | $0.000 | $0.63 |", text)
        self.assertTrue(plot.startswith("<svg") and "fanfold, ranged" in plot)


if __name__ == "__main__":
    unittest.main()
