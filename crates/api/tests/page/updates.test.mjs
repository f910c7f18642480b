// How the page follows a batch, and what an update leaves alone.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, Session } from "./browser.mjs";

before(launch);
afterEach(endAll);
after(close);

/** The document some seconds and records later. */
function later(view, seconds, succeeded = 100, changes = {}) {
  const asOf = new Date(Date.parse(view.asOf) + seconds * 1000).toISOString();
  const next = { ...structuredClone(view), ...changes, asOf };
  next.records.succeeded += succeeded;
  return next;
}

const path = ({ document }) => `/batches/${document.batchId}`;
const listening = ({ mock }) => mock.until(() => mock.streams > 0);
const sees = ({ page }, text) => page.getByText(text, { exact: true }).first().waitFor();

async function put(session, view, text) {
  session.mock.put(view);
  await sees(session, text);
}

test("events update the page", async () => {
  const session = await Session.batch("clock");
  await listening(session);
  await put(session, later(session.document, 2, 1000), "10,000");
  await put(session, later(session.document, 4, 2000), "11,000");
  assert.ok(session.mock.asked("GET", path(session)).length <= 2, "the events have the document");
  const line = session.page.locator(".plot path.line").first();
  assert.equal(await line.getAttribute("d"), "M0.0 55.00L500.0 50.00L1000.0 45.00");
  await session.page.getByText("Records in numbers").click();
  const numbers = session.page.getByRole("group", { name: "Records, numbers" });
  await numbers.getByText("11,000").waitFor();
  assert.match(await numbers.innerText(), /10:31:34\s+11,000\s+0\s+10:31:32\s+10,000/);
  assert.deepEqual(session.errors, []);
});

test("the last event ends it", async () => {
  const session = await Session.batch("clock");
  await listening(session);
  const end = { state: "SUCCEEDED", standstill: null, finishedAt: "2026-11-20T09:33:00.000Z" };
  await put(session, later(session.document, 90, 21000, end), "Succeeded");
  await session.page.locator(".figure", { hasText: "Took" }).getByText("3 min").waitFor();
  assert.equal(session.mock.asked("GET", `${path(session)}/events`).length, 1);
});

test("focus and selection survive an update", async () => {
  const session = await Session.batch("million");
  const { page } = session;
  await listening(session);
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Back" }).focus();
  await page.evaluate(() => {
    // From the title, which is written in each update, to the words of an example.
    const [from, to] = ["h1", ".where"].map((name) => document.querySelector(name).firstChild);
    getSelection().setBaseAndExtent(from, 2, to, 3);
    globalThis.marked = [document.activeElement, document.querySelector(".group")];
  });
  const next = later(session.document, 2, 5000);
  next.failures[1].count += 2000;
  // A reason overtakes another one.
  next.failures.sort((one, other) => other.count - one.count);
  await put(session, next, next.records.succeeded.toLocaleString("en"));
  const same = await page.evaluate(() => {
    const [active, group] = globalThis.marked;
    const { anchorNode, anchorOffset, focusNode, focusOffset } = getSelection();
    const ends = [anchorNode.data, anchorOffset, focusNode.parentNode.className, focusOffset];
    return [active === document.activeElement, group.isConnected, ...ends];
  });
  assert.deepEqual(same, [true, true, "ledger-2026.csv", 2, "where", 3]);
  assert.equal(await page.locator(".group h3").first().innerText(), next.failures[0].reason);
});

test("only changes of the state are announced", async () => {
  const session = await Session.batch("million");
  const { page } = session;
  await listening(session);
  await page.evaluate(() => {
    globalThis.said = [];
    const box = document.getElementById("said");
    globalThis.said.push(box.textContent);
    const observer = new MutationObserver(() => globalThis.said.push(box.textContent));
    observer.observe(box, { childList: true, characterData: true, subtree: true });
  });
  const slow = { kind: "SLOW", since: session.document.asOf, reasons: ["chunk 3 waits: the table is too busy"] };
  await put(session, later(session.document, 2, 0), "Processing");
  await put(session, later(session.document, 4, 0, { standstill: slow }), "Slow");
  await put(session, later(session.document, 6, 0, { standstill: { ...slow, kind: "STALLED" } }), "Stalled");
  const said = await page.evaluate(() => globalThis.said);
  assert.deepEqual(said, ["Processing", "Slow", "Stalled"].map((word) => `ledger-2026.csv: ${word}`));
});

test("a connection that breaks once comes again", async () => {
  const session = await Session.batch("clock");
  await listening(session);
  session.mock.drop();
  await session.mock.until(() => session.mock.asked("GET", `${path(session)}/events`).length === 2);
  await put(session, later(session.document, 5, 1000), "10,000");
});

test("a change between the first answer and the connection is not missed", async () => {
  const change = (mock, view) => mock.once("asked", () => mock.put(later(view, 5, 1000)));
  const session = await Session.batch("clock", { prepare: change });
  await sees(session, "10,000");
  assert.equal(session.mock.asked("GET", `${path(session)}/events`).length, 1);
});

test("without events the document is polled with its tag", async () => {
  const session = await Session.batch("clock", { prepare: (mock) => (mock.events = false) });
  const { mock } = session;
  const asked = () => mock.asked("GET", path(session));
  // It is asked with the first answer's tag right away, and again after two seconds.
  await mock.until(() => asked().length >= 3);
  assert.equal(mock.asked("GET", `${path(session)}/events`).length, 2);
  assert.match(asked()[1].headers["if-none-match"], /^"[0-9a-f]{16}"$/);
  mock.put(later(session.document, 5, 1000));
  await session.look();
  await sees(session, "10,000");
  const end = { state: "SUCCEEDED", standstill: null, finishedAt: "2026-11-20T09:33:00.000Z" };
  mock.put(later(session.document, 90, 21000, end));
  await session.look();
  await sees(session, "Succeeded");
  assert.deepEqual(session.errors, []);
});

test("polling slows down while nothing changes, and rests while nobody looks", async () => {
  const session = await Session.open(async (mock) => mock.show("list-forty"), {
    init: () => {
      globalThis.away = false;
      Object.defineProperty(document, "hidden", { get: () => globalThis.away });
      // The pauses that the page asks for, without those of the browser.
      globalThis.pauses = [];
      const later = globalThis.setTimeout;
      globalThis.setTimeout = (run, pause) => {
        globalThis.pauses.push(pause);
        return later(run, pause / 1000);
      };
    },
  });
  const { page, mock } = session;
  await page.waitForFunction(() => globalThis.pauses.length >= 6);
  assert.deepEqual(await page.evaluate(() => globalThis.pauses.slice(0, 6)), [3000, 4500, 6750, 10000, 10000, 10000]);
  const rests = await page.evaluate(async () => {
    globalThis.away = true;
    document.dispatchEvent(new Event("visibilitychange"));
    // The timer that was set before runs out, and sets no other.
    for (let tries = 0; tries < 20; tries += 1) {
      const before = globalThis.pauses.length;
      for (let frame = 0; frame < 12; frame += 1) await new Promise(requestAnimationFrame);
      if (before === globalThis.pauses.length) return true;
    }
    return false;
  });
  assert.ok(rests, "it asks although nobody looks");
  const before = mock.requests.length;
  await page.evaluate(() => {
    globalThis.away = false;
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await mock.until(() => mock.requests.length > before);
});

test("a token leaves the address and goes with each request", async () => {
  const prepare = async (mock) => {
    await mock.show("clock");
    mock.token = "s3cret/+";
  };
  const session = await Session.open(prepare, { hash: "#token=s3cret%2F%2B" });
  const { page, mock } = session;
  await page.getByRole("link", { name: "shipments.csv" }).click();
  await page.getByRole("heading", { level: 1, name: "shipments.csv" }).waitFor();
  assert.ok(!page.url().includes("s3cret"));
  const view = Array.from(mock.views.values())[0];
  await mock.until(() => mock.asked("GET", `/batches/${view.batchId}`).length >= 2);
  mock.put(later(view, 5, 1000));
  await session.look();
  await sees(session, "10,000");
  assert.equal(mock.asked("GET", `/batches/${view.batchId}/events`).length, 0);
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "shipments.csv" }).waitFor();
  const sent = mock.requests.filter(({ path: one }) => /^\/(batches|pipelines)/.test(one));
  assert.ok(sent.every(({ headers }) => headers.authorization === "Bearer s3cret/+"));
  assert.deepEqual(session.errors, []);
});

test("without the token the page says what to do, and stops asking", async () => {
  const session = await Session.open((mock) => (mock.token = "secret"));
  const problem = session.page.getByRole("alert");
  await problem.waitFor();
  const words = /Unauthorized\s+The request has no valid token\.\s+The credentials or the token do not allow it/;
  assert.match(await problem.innerText(), words);
});

test("a batch that is not there yet appears", async () => {
  const session = await Session.open(() => {}, { hash: "#/batches/orders/shipments-0123456789ab" });
  await session.page.getByText("There is no batch shipments-0123456789ab.").waitFor();
  await session.page.getByRole("heading", { level: 1, name: "shipments-0123456789ab" }).waitFor();
  assert.deepEqual(await session.violations(), []);
  const view = await session.mock.show("clock");
  session.mock.put(view, "shipments-0123456789ab");
  await session.look();
  await session.page.getByRole("heading", { level: 1, name: "shipments.csv" }).waitFor();
  assert.equal(await session.page.getByRole("alert").count(), 0);
});

test("a document of a later version is not shown as if it were understood", async () => {
  const session = await Session.batch("clock");
  await listening(session);
  session.mock.put(later(session.document, 2, 1000, { version: 2 }));
  await session.page.getByText("The server is newer than this page").waitFor();
  assert.doesNotMatch(await session.text(), /10,000/);
});

test("an update takes less than 50 ms at 65,536 chunks", async () => {
  const session = await Session.batch("million");
  const { page, document } = session;
  await listening(session);
  await page.getByRole("button", { name: "Show all 48 reasons" }).click();
  session.mock.put(later(document, 1, 1));
  await page.getByText("Records in numbers").click();
  await page.getByText("Status document (JSON)").click();
  for (let n = 1; n <= 40; n += 1) session.mock.put(later(document, 2 * n, 1000 * n));
  await sees(session, (document.records.succeeded + 40_000).toLocaleString("en"));
  await page.waitForFunction(() => globalThis.updates.length >= 41);
  const took = await page.evaluate(() => globalThis.updates.slice(1));
  assert.ok(Math.max(...took) < 50, `updates took up to ${Math.max(...took)} ms`);
  const [median, most] = [took.sort((a, b) => a - b)[20], took.at(-1)].map((ms) => ms.toFixed(1));
  console.log(`an update took ${median} ms in the median, ${most} ms at most`);
});
