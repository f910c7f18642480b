"""docs/COMPARISON.md and .svg: what compare.py measured, in tables and as a plot."""

import datetime
import html
import re
import statistics
from pathlib import Path

PRICES = Path(__file__).resolve().parents[2] / "src" / "model" / "price.rs"
ITEMS_PER_REQUEST = 25
CATEGORIES, CHUNK = 5, 500

BEGINNING = """# fanfold beside its peers

Made by `make compare`; do not edit. Each engine worked through the same files of {records:,} records, one after the other, on one machine with two
processors and one emulator ({target}, commit {commit}, {date}). One record in 1,000 has a price that is no number. Of fanfold and of the Distributed Map, eight functions work at
once, of Lithops and Spark a process for each processor, with one request each under way; the Rust loop has 16, the Python loop one. Each engine checks its records alike, stores the good ones as the same items, adds their number and the sum of their prices to a counter of
their category, and writes what became of each record to a file. What was stored, counted and written is then read and compared record by record.

An emulator's seconds say how much an engine adds to its requests, **not how long AWS takes**: it answers within a millisecond, has no
network, and writes some thousand items a second whoever asks. Spark and Lithops ran on this machine: not Glue, not EMR, not Lambda. The
Distributed Map is the emulator's, with batches as AWS documents them (`scripts/maps.py`); there is no `ResultWriter`. Code is in
`benchmark/compare/peers` and `benchmark/src/peer/work.rs`.
"""

SPEED = """
## Seconds, requests, memory

Cold: nothing of the engine ran before; its program, its virtual machine or its functions have to start. Warm: the middle of {repeat} further files. Both
begin with the upload. Requests are those that reached the emulator, without the polling of queues, which AWS does. Memory is that of all
processes of the engine together, at its highest. Lines are what a user writes, without comments.

| engine | lines | cold, s | warm, s | beside the Rust loop | requests | memory, MB | files of {files} with wrong items | wrong items |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
"""

LITHOPS = """
Where Lithops has wrong items, the rows of one whole part of the file are missing, and it said nothing, as if the part had had
no rows. Which file that happens to differs from run to run; whether it is Lithops's partitioned stream, a library below it or the emulator was not found out. The same
ranges of objects are read by `ranged` without a loss.
"""

FAILURES = """
## What goes wrong

*Twice*: the same file is started twice at once, as by a trigger that is delivered twice. *Killed*: all processes that work are ended once half
of the writes are made; what does not go on by itself is started once more, as a user would. fanfold goes on when the messages of the killed
functions come back, after six times the time that a function may take, which was 5 s here. *Refused*: one price is `1e200`, a number to all
but DynamoDB. A counter is off by that many items, in the category where it is off by the most.

| engine | twice: wrong items | counter off by | killed: started by a user | s | wrong items | counter off by | results wrong | refused: not stored | counter off by | said of it |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|
"""

DOLLARS = """
## Dollars

By list prices of {region}, {as_of}, for a million such records: what the counted requests cost, without Lambda, machines and clusters. All
write the same items, which is most of it. To that comes, whatever the size of the file:

- Glue: at least two workers for a minute, $0.015 a run ([prices](https://aws.amazon.com/glue/pricing/)); EMR Serverless: processors and memory by the second
  ([prices](https://aws.amazon.com/emr/pricing/)).
- Lambda, for fanfold, the Distributed Map and Lithops: seconds × memory ([prices](https://aws.amazon.com/lambda/pricing/)), cents for a million records.
- A loop: the machine that it runs on, and whoever starts it again.

| engine | requests of DynamoDB | others | a million records |
|---|--:|--:|--:|
"""

WHICH = """
![Seconds cold and warm, requests, and dollars of each engine](COMPARISON.svg)

## When to take which

1. **A loop** (Python or Rust) is enough if somebody waits for it, a run may be repeated, and nothing is counted: the least to run. fanfold is not the answer to a file a month.
2. **A loop with counters is not**: after a second start, or an end between two of its additions, they are off, and nothing says by how much. One
   number that DynamoDB refuses ends it in the middle.
3. **Spark**, if the work is joins, windows or aggregates over all records: fanfold knows one record at a time. For writing items it adds its start,
   and a task that is repeated adds to counters again.
4. **Lithops**, if the work is Python functions over objects, results fit into a reduce, and the caller stays: it has no state to go on from.
5. **A plain Distributed Map**, if each batch may be repeated as a whole, one failed batch may fail the run, and nothing is counted: a function and a
   definition, nothing to operate. Idempotent counters and the list of failed records are the user's.
6. **fanfold, `ranged` or `chunked`**, if uploads start by themselves, each record has to have one outcome, counters have to be right whatever is killed
   or delivered twice, and failed records are to be redriven. It pays for that with the requests above.
7. **fanfold, `sfn`**, for the same with the console of Step Functions to look at; `sns`, if others want the chunks, too; `notification`, if
   the objects themselves are the trigger.
8. **S3 Batch Operations**, if there is one operation for each object of a bucket and nothing to be joined: it has its own report.
9. **None of these**, if records arrive one by one and are wanted within a second: a queue, a function, and fanfold's front doors.
10. What an emulator cannot say, [MODEL.md](MODEL.md) and the [report](report.md) do: seconds and limits of AWS.
"""


def write(rows, options):
    """Writes the page and the plot."""
    told = of_engines(rows)
    prices, as_of, region = priced()
    head = {"records": options.records, "target": options.target, "commit": options.commit, "date": datetime.date.today().isoformat()}
    page = BEGINNING.format(**head) + SPEED.format(repeat=options.repeat, files=options.repeat + 1) + "".join(map(speed, told.values(), [told] * len(told)))
    if any(row["missing"] for row in told.get("lithops", {}).get("warm", []) + told.get("lithops", {}).get("cold", [])):
        page += LITHOPS
    page += FAILURES + "".join(map(failure, told.values()))
    page += DOLLARS.format(region=region, as_of=as_of) + "".join(dollars(one, prices) for one in told.values()) + WHICH
    (options.docs / "COMPARISON.md").write_text(page)
    (options.docs / "COMPARISON.svg").write_text(plot(told, prices))


def of_engines(rows):
    """The scenarios of each engine; of `warm` there are several."""
    told = {}
    for row in rows:
        told.setdefault(row["engine"], {}).setdefault(row["scenario"], []).append(row)
    return told


def warm(one):
    return statistics.median(row["seconds"] for row in one["warm"])


def requests(one):
    return statistics.median(sum(row["requests"].values()) for row in one["warm"])


def cells(*values):
    return "| " + " | ".join(map(str, values)) + " |\n"


def speed(one, told):
    cold = one["cold"][0]
    floor = warm(told["rust"]) if "rust" in told else float("nan")
    undisturbed = one["cold"] + one["warm"]
    memory = max(row["memory"] for row in undisturbed) / 1e6
    wrong = [row["missing"] + row["different"] for row in undisturbed]
    return cells(cold["label"], cold["lines"], f"{cold['seconds']:.1f}", f"{warm(one):.1f}", f"{warm(one) / floor:.1f} ×", f"{requests(one):,.0f}",
                 f"{memory:,.0f}", sum(many > 0 for many in wrong), f"{sum(wrong):,}")


def failure(one):
    twice, killed, refused = (one[name][0] for name in ("twice", "killed", "poison"))
    wrong = lambda row: f"{row['missing'] + row['different']:,}"
    off = lambda row: f"{row['counted']:+,}" if row["counted"] else "0"
    results = "none written" if killed["results"] is None else f"{killed['results']:,}"
    # Of the results, those of the record that was refused count as well.
    if refused["said"]:
        said = re.sub(r"\s+", " ", refused["said"])[:90].replace("|", "/") + " …"
    else:
        said = "a result, among all others" if refused["results"] == 0 else "nothing"
    return cells(twice["label"], wrong(twice), off(twice), f"{killed['restarts']} ×", f"{killed['seconds']:.1f}", wrong(killed), off(killed), results,
                 wrong(refused), off(refused), said)


def priced():
    """Prices in dollars, their date and their region, as the product has them."""
    text = PRICES.read_text()
    prices = {name: int(value.replace("_", "")) / 1e9 for name, value in re.findall(r"pub const (\w+): Dollars = Dollars\(([\d_]+)\)", text)}
    named = lambda name: re.search(rf'pub const {name}: &str = "([^"]+)"', text)[1]
    return prices, named("AS_OF"), named("REGION")


def cost(row, prices):
    """What the requests of a run cost: those of DynamoDB, and all others. A batch of items is as full as there are items left."""
    tables = others = 0.0
    written = row["requests"].get("dynamodb.BatchWriteItem", 0)
    for name, many in row["requests"].items():
        service, _, operation = name.partition(".")
        if service == "dynamodb":
            if name == "dynamodb.BatchWriteItem":
                # Counters of fanfold are rows, one for each category and chunk.
                counters = CATEGORIES * row["records"] / CHUNK if row["engine"].startswith("fanfold") else 0
                tables += min(written * ITEMS_PER_REQUEST, max(row["records"] + counters, written)) * prices["WRITE_UNIT"]
            else:
                reads = operation in ("GetItem", "BatchGetItem", "Query", "Scan")
                tables += many * prices["READ_UNIT" if reads else "WRITE_UNIT"]
        elif service == "s3":
            others += many * {"GET": prices["S3_READ"], "HEAD": prices["S3_READ"], "DELETE": 0}.get(operation, prices["S3_WRITE"])
        elif service in ("sqs", "sns"):
            others += many * prices[service.upper()]
    # What the emulator does within itself: receiving and deleting messages by tens, and executions of maps, one for each batch or chunk.
    if row["engine"] in ("distributed-map", "fanfold-sfn"):
        others += row["records"] / CHUNK * (prices["TRANSITION"] + prices["EXPRESS"])
    elif row["engine"].startswith("fanfold"):
        others += row["records"] / CHUNK * 2 * prices["SQS"]
    return tables, others


def million(one, prices):
    # What was lost would be cheap.
    whole = [row for row in one["warm"] if not row["missing"]] or one["warm"]
    row = sorted(whole, key=lambda row: row["seconds"])[len(whole) // 2]
    return [part * 1e6 / row["records"] for part in cost(row, prices)]


def dollars(one, prices):
    tables, others = million(one, prices)
    return cells(one["cold"][0]["label"], f"${tables:.2f}", f"${others:.3f}", f"${tables + others:.2f}")


def plot(told, prices):
    """Bars of each engine: seconds, requests, dollars."""
    panels = [
        ("seconds, cold / warm", [(one["cold"][0]["seconds"], warm(one)) for one in told.values()], "{:.1f}"),
        ("requests", [(requests(one),) for one in told.values()], "{:,.0f}"),
        ("dollars for a million records", [(sum(million(one, prices)),) for one in told.values()], "{:.2f}"),
    ]
    row, left, wide, gap, top = 30, 190, 210, 45, 50
    width, height = left + 3 * (wide + gap) + 10, top + row * len(told) + 20
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for at, one in enumerate(told.values()):
        parts.append(f'<text x="{left - 10}" y="{top + row * at + 19}" text-anchor="end">{html.escape(one["cold"][0]["label"])}</text>')
    for number, (title, values, form) in enumerate(panels):
        x, most = left + number * (wide + gap), max(max(some) for some in values)
        parts.append(f'<text x="{x}" y="{top - 16}" font-weight="bold">{title}</text>')
        for at, some in enumerate(values):
            y = top + row * at + 5
            for value, (fill, thick) in zip(some, (("#b9c6d3", 20), ("#2b6ca3", 10)) if len(some) == 2 else (("#2b6ca3", 20),)):
                parts.append(f'<rect x="{x}" y="{y + (20 - thick) / 2}" width="{value / most * (wide - 40):.1f}" height="{thick}" fill="{fill}"/>')
            text = " / ".join(form.format(value) for value in some)
            parts.append(f'<text x="{x + max(some) / most * (wide - 40) + 5:.1f}" y="{y + 15}" font-size="11">{text}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
