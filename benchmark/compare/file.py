"""The file of records that all engines get, and what has to become of it."""

import csv
import io
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

COLUMNS = ["itemNo", "price", "name", "category", "note"]
CATEGORIES = ["home", "garden", "office", "workshop", "travel"]
# One record in so many has a price that is no number; an engine has to say so in its results and to store the rest.
INVALID = 1000
# A number that all take for one, and that DynamoDB does not store:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
POISON = "1e200"
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MOST_KEYS = 100


@dataclass
class Found:
    """What was found of a file's records after a run."""

    missing: int
    different: int
    """The greatest difference between a counter and the number of its items that there should be; signed."""
    counted: int
    """Records whose result is missing or wrong, of those that can have one; None if there are no results."""
    results: int | None

    @property
    def right(self):
        return (self.missing, self.different, self.counted) == (0, 0, 0)


class File:
    """Records by chance, always the same of a name."""

    def __init__(self, name, records, seed, poisoned=False):
        self.name, chance = name, random.Random(f"{seed}")
        self.rows = [self.row(chance, number) for number in range(records)]
        for number in range(INVALID // 2, records, INVALID):
            self.rows[number]["price"] = "unknown"
        self.poison = records // 2 + 1 if poisoned else None
        if poisoned:
            self.rows[self.poison]["price"] = POISON
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.bytes = text.getvalue().encode()

    def row(self, chance, number):
        category = chance.choice(CATEGORIES)
        return {
            "itemNo": f"{self.name}-{number:07}", "price": f"{chance.randrange(1, 9_999_999) / 100:.2f}",
            "name": f"{chance.choice(['small', 'green', 'süße'])} {chance.choice(['kettle', 'Tür', 'engine'])} {chance.randrange(1000)}",
            # Counters of a run begin at zero.
            "category": f"{category} {self.name}", "note": f"shelf {chance.randrange(100)}, row {chance.randrange(40)} \"{category}\"",
        }

    def stored(self):
        """The rows that are to become items."""
        return [row for row in self.rows if row["price"] not in ("unknown", POISON)]

    def wrong_items(self, dynamodb, table):
        """How many items are missing, and how many others than they should be, or should not be there."""
        wanted = {row["itemNo"]: row for row in self.stored()}
        keys = [row["itemNo"] for row in self.rows]

        def read(some):
            left, found = {table: {"Keys": [{"itemNo": {"S": key}} for key in some]}}, []
            while left:
                told = dynamodb.batch_get_item(RequestItems=left)
                found += told["Responses"].get(table, [])
                left = told.get("UnprocessedKeys")
            return found

        with ThreadPoolExecutor(8) as pool:
            parts = pool.map(read, [keys[at:at + MOST_KEYS] for at in range(0, len(keys), MOST_KEYS)])
            items = {item["itemNo"]["S"]: item for part in parts for item in part}
        different = sum(1 for key, item in items.items() if key not in wanted or not same(wanted[key], item))
        return len(wanted.keys() - items.keys()), different

    def wrong_counts(self, counted):
        """The greatest difference between a counter, as (count, sum), and its items; that of sums counts as one item at least."""
        worst = 0
        for category in CATEGORIES:
            rows = [row for row in self.stored() if row["category"] == f"{category} {self.name}"]
            count, total = counted(f"{category} {self.name}")
            off = count - len(rows)
            if off == 0 and total != sum((Decimal(row["price"]) for row in rows), Decimal(0)):
                off = 1
            worst = off if abs(off) > abs(worst) else worst
        return worst

    def wrong_results(self, text):
        """Records of which a file of results does not say what became of them."""
        told = {}
        for row in csv.DictReader(io.StringIO(text, newline="")):
            told.setdefault(row["itemNo"], []).append(row["success"])
        stored = {row["itemNo"] for row in self.stored()}
        return sum(told.get(row["itemNo"]) != ["true" if row["itemNo"] in stored else "false"] for row in self.rows)


def same(row, item):
    """Whether an item has the fields of a row. It may have others, in which an engine keeps its books."""
    texts = all(item.get(name, {}).get("S") == row[name] for name in COLUMNS if name != "price")
    return texts and "N" in item.get("price", {}) and Decimal(item["price"]["N"]) == Decimal(row["price"])
