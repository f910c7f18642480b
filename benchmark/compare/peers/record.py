"""What a record has to be, and the item that it becomes: the same for all peers in Python."""

import collections
import csv
import io
from decimal import Decimal, InvalidOperation

COLUMNS = ["itemNo", "price", "name", "category", "note"]


def item(row):
    """The item of a record; ValueError says why there is none."""
    if not row["itemNo"]:
        raise ValueError("itemNo is empty")
    try:
        return {**row, "price": Decimal(row["price"])}
    except InvalidOperation:
        raise ValueError(f"price {row['price']!r} is no number") from None


class Counts:
    """The number and the sum of prices of the items of each category."""

    def __init__(self):
        self.of = collections.defaultdict(lambda: [0, Decimal(0)])

    def count(self, item):
        of = self.of[item["category"]]
        of[0] += 1
        of[1] += item["price"]

    def add_to(self, table):
        for category, (count, total) in self.of.items():
            table.update_item(Key={"group": category}, UpdateExpression="ADD #count :count, #sum :sum",
                              ExpressionAttributeNames={"#count": "count", "#sum": "sum"},
                              ExpressionAttributeValues={":count": count, ":sum": total})


def results(rows):
    """The file of results: each record, whether it succeeded, and why not."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "success", "message"])
    writer.writerows(rows)
    return text.getvalue().encode()


def store(rows, items, counters):
    """Stores the records of an iterator, counts them, and returns their results."""
    counts, told = Counts(), []
    with items.batch_writer() as batch:
        for row in rows:
            try:
                made = item(row)
            except ValueError as reason:
                told.append([*row.values(), "false", str(reason)])
                continue
            batch.put_item(Item=made)
            counts.count(made)
            told.append([*row.values(), "true", ""])
    counts.add_to(counters)
    return told
