// The list of batches, and the functions that turn numbers into words.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, Session } from "./browser.mjs";
import { golden } from "./server.mjs";

before(launch);
afterEach(endAll);
after(close);

async function open(name, prepare = () => {}, options = {}) {
  const session = await Session.open(async (mock) => {
    await mock.show(name);
    prepare(mock);
  }, options);
  await session.page.locator("main:not(.loading)").waitFor();
  return session;
}

const column = ({ page }, selector) => page.locator(`table.batches tbody ${selector}`).allInnerTexts();

test("stalled batches come first, then slow ones, then those that run, then the others by start", async () => {
  const session = await open("list-forty");
  const names = await column(session, "a");
  assert.equal(names.length, 40);
  assert.deepEqual(names.slice(0, 7).map((name) => name.slice(7, 9)), ["05", "21", "39", "38", "36", "37", "35"]);
  const states = await column(session, ".state");
  assert.deepEqual(states.slice(0, 5), ["Stalled", "Slow", "Processing", "Processing", "Gathering"]);
  const rest = names.slice(5);
  assert.deepEqual(rest, rest.toSorted().reverse());
  assert.deepEqual(session.errors, []);
});

test("a redrive has a line of its own", async () => {
  const line = { ...(await golden("list-forty")).batches[2], finishedAt: "2026-11-20T15:40:00.250Z" };
  const session = await open("list-empty", (mock) => (mock.rows = [{ ...line, generation: 1 }, line]));
  assert.deepEqual(await column(session, ".what .quiet"), ["orders, redrive 1", "orders"]);
  assert.match((await column(session, ".when"))[0], /took 250 ms/);
});

test("the list is filtered by state and pipeline, and the address says so", async () => {
  const session = await open("list-pipelines");
  const { page, mock } = session;
  await page.getByRole("combobox", { name: "Pipeline" }).focus();
  await page.keyboard.type("mail");
  await page.waitForURL("**/#/?pipeline=mail");
  await page.getByRole("status").filter({ hasText: "1 batch" }).waitFor();
  assert.deepEqual(await column(session, "a"), ["newsletter.csv"]);
  // Whoever chooses with the keyboard goes on choosing.
  assert.equal(await page.evaluate(() => document.activeElement.value), "mail");
  await page.getByRole("combobox", { name: "State" }).selectOption("FAILED");
  await page.getByRole("heading", { name: "No batch matches" }).waitFor();
  const { query } = mock.asked("GET", "/batches").at(-1);
  assert.deepEqual([query.get("pipeline"), query.get("state")], ["mail", "FAILED"]);
  await page.getByRole("link", { name: "Show all batches" }).click();
  await page.getByRole("link", { name: "invoices.csv" }).waitFor();
  assert.equal(await page.getByRole("combobox", { name: "State" }).inputValue(), "");
  assert.equal(await page.getByRole("combobox", { name: "Pipeline" }).inputValue(), "");
  await page.goBack();
  await page.getByRole("heading", { name: "No batch matches" }).waitFor();
  assert.equal(await page.getByRole("combobox", { name: "State" }).inputValue(), "FAILED");
});

test("more batches than a page holds are shown on demand", async () => {
  const session = await open("list-forty", (mock) => (mock.most = 25));
  assert.equal((await column(session, "a")).length, 25);
  await session.page.getByRole("button", { name: "Show more" }).click();
  await session.page.locator("table.batches tbody tr").nth(39).waitFor();
  await session.page.getByRole("button", { name: "Show more" }).waitFor({ state: "hidden" });
});

test("nothing more is offered where the list of a pipeline ends, whatever the server names as next", async () => {
  const session = await open("list-forty", (mock) => (mock.most = 20));
  const { page, mock } = session;
  const more = page.getByRole("button", { name: "Show more" });
  await more.click();
  await page.locator("table.batches tbody tr").nth(39).waitFor();
  await more.waitFor({ state: "hidden" });
  const ends = () => mock.asked("GET", "/batches").filter(({ query }) => query.get("next") === "40").length;
  await mock.until(() => ends() === 1);
  const before = mock.requests.length;
  await session.look();
  await mock.until(() => mock.requests.length >= before + 3);
  assert.equal(await more.count(), 0);
  assert.equal(ends(), 1, "what is known is not asked again");
});

test("a page on which no batch matches is not the last one", async () => {
  const prepare = (mock) => {
    mock.most = 15;
    mock.rows.forEach((row, place) => (row.state = place === 39 ? "CANCELLED" : "SUCCEEDED"));
  };
  const session = await open("list-forty", prepare, { hash: "#/?state=CANCELLED" });
  const { page, mock } = session;
  const asked = (next) => mock.asked("GET", "/batches").some(({ query }) => query.get("next") === next);
  await page.getByRole("button", { name: "Show more" }).click();
  await mock.until(() => asked("30"));
  await page.getByRole("button", { name: "Show more" }).click();
  await page.getByRole("link", { name: "orders-00.csv" }).waitFor();
});

test("the focus stays on a batch whose place changes", async () => {
  const session = await open("list-forty");
  const { page, mock } = session;
  const link = page.getByRole("link", { name: "orders-38.csv" });
  await link.focus();
  mock.rows = mock.rows.map((row) => (row.key.includes("orders-38") ? { ...row, standstill: "STALLED" } : row));
  await session.look();
  await page.waitForFunction(() => document.querySelector("table.batches tbody a").textContent === "orders-38.csv");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "orders-38.csv");
});

test("a server that is gone is named, and the list comes back", async () => {
  const session = await open("list-forty");
  const { page, mock } = session;
  mock.problems.set("GET /batches", { status: 503, title: "Busy", detail: "The ledger did not answer." });
  await session.look();
  await page.getByRole("alert").filter({ hasText: "The ledger did not answer." }).waitFor();
  assert.equal((await column(session, "a")).length, 40);
  mock.problems.clear();
  await session.look();
  await page.getByRole("alert").waitFor({ state: "hidden" });
});

test("the first batch can be reached and left by keyboard", async () => {
  const { page, mock } = await open("stalled");
  const [view] = mock.views.values();
  await page.getByRole("link", { name: "orders-november.csv" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "orders-november.csv" }).waitFor();
  await page.waitForFunction(() => document.activeElement.tagName === "H1");
  assert.ok(page.url().endsWith(`#/batches/orders/${view.batchId}`));
  await page.keyboard.press("Shift+Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "All batches");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Batches" }).waitFor();
});

test("numbers become words", async () => {
  const session = await open("list-empty");
  const told = await session.page.evaluate(async () => {
    const modules = await Promise.all(["text", "failures", "chart"].map((name) => import(`/${name}.js`)));
    const [text, { dissect }, { Samples, scaleFor }] = modules;
    const samples = new Samples();
    const view = (n) => ({ asOf: new Date(n * 1000).toISOString(), records: { succeeded: n, failed: 0 }, pace: null });
    for (let n = 0; n < 5000; n += 1) samples.add(view(n));
    return {
      spans: [0, 59_400, 61_000, 3_600_000, 90_061_000, -5].map(text.span),
      percents: [[0, 0], [1, 100_000], [99_999, 100_000], [100, 100], [1, 3]].map((pair) => text.percent(...pair)),
      dollars: [0, 0.0000347, 0.0123, 1.5, 1234.5].map(text.dollars),
      bytes: [1, 999, 1500, 38_400_000].map(text.bytes),
      messages: [
        "line 3: price: the cell \"cheap\" is not a number",
        "row 7, column 2: it is empty",
        "the API answered 401: no",
      ].map(dissect),
      scales: [0, 1, 3, 26, 999, 0.04].map(scaleFor),
      samples: [samples.length <= 600, samples.all[0].at, samples.few().length <= 31],
      latest: samples.few()[0].at === samples.all.at(-1).at,
    };
  });
  assert.deepEqual(told.spans, ["0 s", "59 s", "1 min 1 s", "1 h", "1 d 1 h", "0 s"]);
  assert.deepEqual(told.percents, ["0 %", "< 0.1 %", "> 99.9 %", "100 %", "33 %"]);
  assert.deepEqual(told.dollars, ["$0.00", "$0.000035", "$0.012", "$1.50", "$1,235"]);
  assert.deepEqual(told.bytes, ["1 byte", "999 bytes", "1.5 kB", "38 MB"]);
  assert.deepEqual(told.messages, [
    { place: "line 3", field: "price", words: "the cell \"cheap\" is not a number" },
    { place: "row 7, column 2", field: "", words: "it is empty" },
    { place: "", field: "", words: "the API answered 401: no" },
  ]);
  assert.deepEqual(told.scales, [1, 1, 4, 40, 1000, 0.04]);
  assert.deepEqual(told.samples, [true, 0, true]);
  assert.ok(told.latest);
});
