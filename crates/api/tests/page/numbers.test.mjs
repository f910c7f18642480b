// Numbers of a batch: its bar, its costs, its events, and the places of its failures.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, NARROW, Session } from "./browser.mjs";

before(launch);
afterEach(endAll);
after(close);

const section = ({ page }, name) => page.getByRole("region", { name, exact: true });
const legend = async ({ page }) => (await page.locator(".legend").innerText()).replace(/\s+/g, " ");

/** The parts of a bar, as `bar.js` reckons them. */
function partsOf({ page }, batches) {
  return page.evaluate(async (given) => {
    const { parts } = await import("/bar.js");
    const names = ["whole", "running", "waiting", "divided"];
    return given.map(parts).map((part) => names.map((name) => part[name]));
  }, batches);
}

test("records that run are told where the server tells them, and reckoned from chunks where not", async () => {
  const counted = await legend(await Session.batch("million"));
  assert.match(counted, /Running about 6,104 0\.6 % 400 chunks Waiting about 353,896 35 % 23,193 chunks/);
  const prepare = (mock, { records }) => ["running", "waiting"].forEach((name) => delete records[name]);
  const reckoned = await legend(await Session.batch("million", { prepare }));
  assert.match(reckoned, /Running about 6,104 0\.6 % 400 chunks Waiting about 353,896/);
  const without = (mock, { chunks }) => ["running", "waiting"].forEach((name) => delete chunks[name]);
  const session = await Session.batch("million", { prepare: without });
  assert.match(await legend(session), /Running about 6,104 0\.6 % Waiting about 353,896 35 %$/);
});

test("a record has one place in the bar, although counts are not of the same moment", async () => {
  const session = await Session.batch("one-record");
  const records = { total: 100, atLeast: 100, succeeded: 60, failed: 10, running: 20, waiting: 10 };
  const chunks = { running: 1, waiting: 2 };
  const batch = (changes, state = "PROCESSING") => ({ state, records: { ...records, ...changes }, chunks });
  assert.deepEqual(await partsOf(session, [
    batch({}),
    batch({ succeeded: 85 }),
    batch({ total: null, atLeast: 80 }),
    batch({ running: null }),
    batch({}, "CANCELLED"),
    { ...batch({ running: 0, waiting: 0 }), chunks: null },
  ]), [
    [100, 20, 10, true],
    [100, 5, 0, true],
    [100, 20, 10, true],
    [100, 10, 20, true],
    [100, 0, 0, true],
    [100, 0, 30, true],
  ]);
});

test("the bars of the list show what runs", async () => {
  const session = await Session.open(async (mock) => {
    await mock.show("list-paused");
    Object.assign(mock.rows[0].records, { running: 8000, waiting: 20_000 });
  });
  const piece = session.page.locator("table.batches .piece.running:visible");
  await piece.waitFor();
  assert.equal(await piece.evaluate((one) => one.style.width), "20%");
});

test("the legend keeps its columns on a narrow screen", async () => {
  const prepare = (mock, { records }) => ["running", "waiting"].forEach((name) => delete records[name]);
  for (const options of [{}, { prepare }]) {
    const session = await Session.batch("million", { viewport: NARROW, ...options });
    const rows = await session.page.locator(".legend > div").evaluateAll((all) => all.map((row) => {
      const range = document.createRange();
      return Array.from(row.children).filter((cell) => !cell.hidden).map((cell) => {
        range.selectNodeContents(cell);
        const { left, right, top, height } = range.getBoundingClientRect();
        return { left, right, top, lines: Math.round(height / 24), name: cell.className };
      });
    }));
    assert.equal(rows.length, 4);
    for (const cells of rows) for (const { lines, name, right } of cells) assert.ok(lines === 1 && right <= 345, name);
    for (const name of ["number", "share"]) {
      const edges = rows.map((cells) => cells.find((cell) => cell.name === name).right.toFixed(0));
      assert.deepEqual(new Set(edges).size, 1, `${name} ends at ${edges}`);
    }
    for (const [title, number, share] of rows) {
      assert.deepEqual([number.top, share.top].map(Math.round), [title.top, title.top].map(Math.round));
    }
  }
});

test("costs are told with requests by service, and what they leave out", async () => {
  const session = await Session.batch("cancelled");
  const money = section(session, "Cost");
  const rows = await money.getByRole("row").allInnerTexts();
  assert.deepEqual(rows.map((row) => row.split(/\s+/)), [
    ["Service", "Requests", "Cost"],
    ["DynamoDB", "1,660", "$0.055"],
    ["S3", "483", "$0.004"],
    ["SQS", "5,000", "$0.002"],
  ]);
  assert.match(await money.innerText(), /In all\s+\$0\.061\s+For a million records\s+\$1\.31/);
  await money.getByText("List prices in US dollars, without Lambda").waitFor();
  const running = section(await Session.batch("million"), "Cost");
  assert.match(await running.innerText(), /So far\s+\$1\.24\s+Expected in all\s+\$1\.90\s/);
});

test("functions that counted their time are among the costs, and their time is no request", async () => {
  const lambda = { name: "Lambda", requests: 12, dollars: 0.25 };
  const session = await Session.batch("cancelled", {
    prepare: (mock, view) => {
      view.costs.services.push(lambda);
      Object.assign(view.stages[0].requests, { "lambda.Invocation": 7, "lambda.MegabyteMillisecond": 987_654_321 });
    },
  });
  const money = await section(session, "Cost").innerText();
  assert.match(money, /Lambda\s+12\s+\$0\.25/);
  assert.match(money, /List prices in US dollars$/m);
  assert.doesNotMatch(await section(session, "Stages").innerText(), /987,654/);
});

test("what is not known of the costs is left out", async () => {
  const costs = { soFar: null, estimated: null, perMillion: null, services: [] };
  const none = await Session.batch("cancelled", { prepare: (mock, view) => (view.costs = costs) });
  assert.equal(await section(none, "Cost").count(), 0);
  const services = [{ name: "S3", requests: 7, dollars: 0.5 }];
  const prepare = (mock, view) => (view.costs = { ...costs, services });
  const some = await Session.batch("cancelled", { prepare });
  const words = await section(some, "Cost").innerText();
  assert.match(words, /S3\s+7\s+\$0\.500/);
  assert.doesNotMatch(words, /In all|million/);
});

test("an entry of an index is paid for, and is no request", async () => {
  const requests = { "dynamodb.PutItem": 1100, "dynamodb.IndexEntry": 1000 };
  const prepare = (mock, { stages }) => (stages.find(({ name }) => name === "process").requests = requests);
  const session = await Session.batch("cancelled", { prepare });
  const row = section(session, "Stages").getByRole("row", { name: "process" });
  assert.match(await row.innerText(), /\s1,100$/);
});

test("an error says what to do", async () => {
  const session = await Session.batch("broken");
  const error = session.page.getByRole("region", { name: "Error BROKEN_GZIP" });
  await error.getByText("Upload the whole file again, as a new file").waitFor();
});

test("the page says how many events it does not show", async () => {
  const many = Array.from({ length: 1252 }, (_, n) => (
    { at: new Date(Date.parse("2026-11-20T09:30:00Z") + 1000 * n).toISOString(), kind: "SWEPT", text: `round ${n}` }
  ));
  const session = await Session.batch("clock", { prepare: (mock, view) => (view.events = many) });
  const { mock, document } = session;
  const log = section(session, "Events");
  assert.equal(await log.getByRole("listitem").count(), 50);
  assert.match(await log.getByRole("listitem").first().innerText(), /round 1251/);
  await log.getByText("1,202 earlier events are in the status document below.").waitFor();
  await mock.until(() => mock.streams > 0);
  mock.put({ ...document, asOf: "2026-11-20T09:31:31.000Z", events: many.slice(0, 51) });
  await log.getByText("1 earlier event is in the status document below.").waitFor();
  mock.put({ ...document, asOf: "2026-11-20T09:31:32.000Z", events: many.slice(0, 50) });
  await log.getByText("earlier event").waitFor({ state: "hidden" });
});

test("the place of a record is written as its number is", async () => {
  const session = await Session.batch("broken");
  const places = await session.page.locator(".where").allInnerTexts();
  const [first, second, third] = places;
  assert.deepEqual([first, second], ["Record 1,702, line 1,704", "Record 2,077, line 2,079"]);
  assert.equal(third, "Record 8,404, line 8,406, column 7");
});
