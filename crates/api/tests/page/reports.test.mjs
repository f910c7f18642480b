// The page of reports: one is asked for, followed in each way, and downloaded.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, NARROW, Session } from "./browser.mjs";

before(launch);
after(close);
afterEach(endAll);

const ID = "0123456789abcdef0123456789abcdef";
const order = { type: "usage", from: "2026-01-01", to: "2026-02-01", zone: "Europe/Berlin" };
const running = { id: ID, state: "PROCESSING", requestedAt: "2026-11-20T09:30:00.000Z", order, end: null };
running.batch = { records: { total: 40, succeeded: 11, failed: 1 } };
const outputs = ["json", "csv", "pdf"].map((name, n) => ({ name, bytes: 1000 * (n + 1) }));
const end = { state: "PARTIALLY_FAILED", partial: true, parts: { total: 40, succeeded: 39, failed: 1 }, rows: 1209 };
const ended = { ...running, state: end.state, end: { ...end, asOf: "2026-11-20T09:31:00.000Z", outputs } };
const RUNNING = "12 of 40 parts made";
const ENDED = "1,209 rows of 39 of 40 assets; the others are named in it";

async function open(options = {}) {
  const session = await Session.open(() => {}, options);
  await session.page.goto(`${session.mock.origin}/reports.html`);
  await session.page.getByRole("button", { name: "Ask for it" }).waitFor();
  return session;
}

const gets = ({ mock }) => mock.asked("GET", `/reports/${ID}`);

async function ask({ page }) {
  await page.getByLabel("First day").fill("2026-01-01");
  await page.getByLabel("Day after the last").fill("2026-02-01");
  await page.getByLabel("Assets").fill("pump 1\n\n 株式会社 \n");
  await page.getByRole("button", { name: "Ask for it" }).click();
  await page.getByText("Accepted", { exact: true }).waitFor();
  await page.locator("h2:focus").getByText(ID).waitFor();
}

for (const way of ["Long polling", "Polling", "Events"]) {
  test(`a report is asked for, followed by ${way.toLowerCase()}, and shown`, async () => {
    const session = await open();
    const { mock, page } = session;
    await page.getByRole("radio", { name: way, exact: false }).and(page.locator(`[value=${{ "Long polling": "long", Polling: "again", Events: "events" }[way]}]`)).check();
    await ask(session);
    const [{ body, headers }] = mock.asked("POST", "/reports");
    assert.deepEqual(body, { ...order, assets: ["pump 1", "株式会社"], format: "pdf" });
    assert.match(headers["idempotency-key"], /^[0-9a-f-]{36}$/);
    if (way === "Long polling") await mock.until(() => gets(session).some(({ query }) => query.get("wait") === "20"));
    mock.report(running);
    await page.getByText("12 of 40 parts made").waitFor();
    mock.report(ended);
    await page.getByText("1,209 rows of 39 of 40 assets; the others are named in it").waitFor();
    assert.equal(await page.locator(".state").innerText(), "Partially failed");
    const documents = await page.getByLabel("Documents").getByRole("button").allInnerTexts();
    assert.deepEqual(documents, ["PDF, 3 kB", "CSV, 2 kB", "JSON, 1 kB"]);
    assert.equal(mock.asked("GET", `/reports/${ID}/events`).length, way === "Events" ? 1 : 0);
    if (way === "Events") assert.equal(gets(session).length, 0, "nothing else is asked");
    if (way === "Polling") assert.ok(gets(session).every(({ query }) => query.get("wait") === null));
    assert.deepEqual([session.errors, await session.violations()], [[], []]);
  });
}

test("a document is downloaded by the link that the server tells", async () => {
  const session = await open();
  const { mock, page } = session;
  await ask(session);
  mock.report(ended);
  await page.getByRole("button", { name: "PDF" }).click();
  await mock.until(() => mock.asked("GET", `/reports/${ID}/result`).length > 0);
  const [{ query, headers }] = mock.asked("GET", `/reports/${ID}/result`);
  assert.deepEqual([query.get("format"), headers.accept], ["pdf", "application/json"]);
});

test("an address names a report, and another way goes on where the first one was", async () => {
  const session = await open();
  const { mock, page } = session;
  mock.report(running);
  await page.evaluate((id) => (location.hash = `#/${id}`), ID);
  await page.getByText("12 of 40 parts made").waitFor();
  await page.getByRole("radio", { name: "Events" }).check();
  await mock.until(() => mock.streams === 1);
  mock.report(ended);
  await page.getByText("1,209 rows", { exact: false }).waitFor();
});

test("what is wrong is shown, and the same request is the same report", async () => {
  const session = await open();
  const { mock, page } = session;
  const wrong = { status: 400, title: "Bad Request", detail: '/zone "Mars" is no zone; give one as Europe/Berlin' };
  mock.problems.set("POST /reports", wrong);
  await page.getByLabel("Time zone").fill("Mars");
  const button = page.getByRole("button", { name: "Ask for it" });
  for (const _ of [1, 2]) {
    await button.click();
    await page.getByRole("alert").getByText("is no zone").waitFor();
  }
  await mock.until(() => mock.asked("POST", "/reports").length === 2);
  mock.problems.clear();
  await page.getByLabel("Time zone").fill("Europe/Berlin");
  await ask(session);
  const keys = mock.asked("POST", "/reports").map(({ headers }) => headers["idempotency-key"]);
  assert.ok(keys[0] === keys[1] && keys[1] !== keys[2], String(keys));
  assert.equal(mock.asked("POST", "/reports")[0].body.assets, "all");
});

test("a report that failed says why, and one that runs is cancelled", async () => {
  const session = await open({ viewport: NARROW });
  const { mock, page } = session;
  await ask(session);
  mock.report(running);
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("button", { name: "Cancel it" }).click();
  await mock.until(() => mock.asked("POST", `/reports/${ID}/cancel`).length === 1);
  const error = { code: "ROWS_EXPIRED", message: 'the rows of "pump 1" expired before the report was made; ask for it again' };
  mock.report({ ...running, state: "FAILED", end: { ...ended.end, state: "FAILED", asOf: null, rows: 0, parts: { total: 40, succeeded: 0, failed: 40 }, outputs: [], error } });
  await page.getByText("ROWS_EXPIRED: the rows of").waitFor();
  assert.equal(await page.getByText("0 rows of 0 of 40 assets").innerText(), "0 rows of 0 of 40 assets");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  assert.deepEqual(await session.violations(), []);
});

/** Opens the page at a report that runs, which is waited for in a way. */
async function follow(way, { given = running, ...options } = {}) {
  const session = await open(options);
  const { mock, page } = session;
  mock.report(given);
  await page.locator(`[value=${way}]`).check();
  await page.evaluate((id) => (location.hash = `#/${id}`), ID);
  await page.getByText(given.end ? ENDED : RUNNING).waitFor();
  return session;
}

/** Whether nothing is sent while time passes in which any way would have sent something. */
async function silent({ mock, page }) {
  const sent = () => [mock.requests, mock.messages, mock.looks].map(({ length }) => length);
  const before = sent();
  await page.evaluate(() => new Promise((done) => setTimeout(done, 2_500)));
  assert.deepEqual(sent(), before);
}

/** Has the page ask over a socket more often than every 15 seconds. */
const often = () => {
  const real = globalThis.setInterval;
  globalThis.setInterval = (run, pause) => real(run, pause / 30);
};

/** Has the page be out of sight, or in sight again. */
const hide = (page, hidden) => page.evaluate((value) => {
  Object.defineProperty(document, "hidden", { value, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

const posts = ({ mock }) => mock.asked("POST", "/sockets");
const cost = (requests) => `Waited for with ${requests} requests`;

test("over a socket, a report is shown when it is asked for, and its end when it comes", async () => {
  const session = await follow("socket");
  const { mock, page } = session;
  const [{ body, headers }] = posts(session);
  assert.equal(body, null);
  assert.match(headers["idempotency-key"], /^[0-9a-f-]{36}$/);
  assert.deepEqual(mock.messages, [{ number: "1", text: JSON.stringify({ subscribe: ID }) }]);
  mock.report(ended);
  await page.getByText(ENDED).waitFor();
  await mock.until(() => mock.sockets === 0);
  await page.getByText(cost(2)).waitFor();
  await silent(session);
  assert.equal(gets(session).length, 0, "nothing else is asked");
  assert.deepEqual([session.errors, await session.violations()], [[], []]);
});

test("over a socket, a report is asked for again and again, but not while nobody looks", async () => {
  const session = await follow("socket", { init: often });
  const { mock, page } = session;
  mock.report({ ...running, batch: { records: { total: 40, succeeded: 20, failed: 1 } } });
  await page.getByText("21 of 40 parts made").waitFor();
  await hide(page, true);
  await silent(session);
  const before = mock.messages.length;
  await hide(page, false);
  await mock.until(() => mock.messages.length > before);
  assert.ok(mock.messages.every(({ number }) => number === "1"), "the connection was kept");
  assert.equal(posts(session).length, 1);
});

test("a socket that breaks is opened again by another URL", async () => {
  const session = await follow("socket");
  const { mock, page } = session;
  mock.drop();
  await page.getByRole("alert").getByText("The connection ended").waitFor();
  await mock.until(() => mock.messages.length === 2);
  await page.getByRole("alert").waitFor({ state: "hidden" });
  assert.deepEqual(mock.messages.map(({ number }) => number), ["1", "2"]);
  const [first, second] = posts(session).map(({ headers }) => headers["idempotency-key"]);
  assert.notEqual(first, second);
  mock.report(ended);
  await page.getByText(ENDED).waitFor();
  await silent(session);
});

test("a socket over which no answer comes is opened again", async () => {
  const session = await follow("socket", { init: often });
  const { mock, page } = session;
  mock.answers = false;
  await page.getByRole("alert").getByText("The connection ended").waitFor();
  mock.answers = true;
  await mock.until(() => mock.messages.at(-1).number === "2");
  await page.getByRole("alert").waitFor({ state: "hidden" });
  assert.equal(mock.sockets, 1, "the first one was closed");
});

test("that there are no sockets is told once", async () => {
  const session = await open();
  const { mock, page } = session;
  mock.report(running);
  mock.problems.set("POST /sockets", { status: 404, title: "Not found", detail: "This deployment has no sockets." });
  await page.locator("[value=socket]").check();
  await page.evaluate((id) => (location.hash = `#/${id}`), ID);
  await page.getByRole("alert").getByText("This deployment has no sockets.").waitFor();
  await silent(session);
  assert.equal(posts(session).length, 1);
});

test("another way closes the socket, and goes on", async () => {
  const session = await follow("socket", { init: often });
  const { mock, page } = session;
  // What goes on only in sight does not take back what the socket would say at its end.
  await hide(page, true);
  await page.locator("[value=again]").check();
  await mock.until(() => mock.sockets === 0);
  assert.equal(await page.getByRole("alert").count(), 0, "that it was closed is no problem");
  await hide(page, false);
  await mock.until(() => gets(session).length > 1);
  const messages = mock.messages.length;
  mock.report(ended);
  await page.getByText(ENDED).waitFor();
  assert.equal(mock.messages.length, messages);
  assert.equal(posts(session).length, 1);
});

test("the link to the end is looked at until it is there", async () => {
  const session = await follow("link");
  const { mock, page } = session;
  await mock.until(() => mock.looks.length === 2);
  assert.equal(gets(session).length, 1);
  mock.report(ended);
  await page.getByText(ENDED).waitFor();
  assert.equal(gets(session).length, 2);
  assert.equal(mock.asked("GET", `/reports/${ID}/link`).length, 1);
  await page.getByText(cost(3 + mock.looks.length)).waitFor();
  await silent(session);
  assert.deepEqual([session.errors, await session.violations()], [[], []]);
});

test("a link is not looked at while nobody looks, and is asked for anew when it is old", async () => {
  const session = await follow("link");
  const { mock, page } = session;
  await mock.until(() => mock.looks.length === 1);
  await hide(page, true);
  await silent(session);
  await page.evaluate(() => {
    const real = Date.now;
    Date.now = () => real() + 601_000;
  });
  await hide(page, false);
  await mock.until(() => mock.looks.length === 2);
  assert.deepEqual(mock.looks.map(({ number }) => number), ["1", "2"]);
  assert.equal(gets(session).length, 1);
});

test("a link that cannot be reached is a problem until it can, and is sent no token", async () => {
  const session = await open();
  const { mock, page } = session;
  mock.report(running);
  Object.assign(mock, { token: "secret", linked: false });
  await page.evaluate(() => sessionStorage.setItem("fanfold-token", "secret"));
  await page.reload();
  await page.locator("[value=link]").check();
  await page.evaluate((id) => (location.hash = `#/${id}`), ID);
  await page.getByRole("alert").getByText("The server did not answer").waitFor();
  await page.getByText(RUNNING).waitFor();
  mock.linked = true;
  await page.getByRole("alert").waitFor({ state: "hidden" });
  mock.report(ended);
  await page.getByText(ENDED).waitFor();
  assert.ok(gets(session).every(({ headers }) => headers.authorization === "Bearer secret"));
  assert.ok(mock.looks.every(({ headers }) => headers.authorization === undefined));
});

test("of a report that has ended, no link is asked for", async () => {
  const session = await follow("link", { given: ended });
  await silent(session);
  assert.equal(gets(session).length, 1);
  assert.equal(session.mock.asked("GET", `/reports/${ID}/link`).length, 0);
});

for (const way of ["long", "again", "events", "socket", "link"]) {
  test(`a report that there is not is said so, once, and not asked for again: ${way}`, async () => {
    const session = await open({ hash: "" });
    const { page } = session;
    await page.locator(`[value=${way}]`).check();
    await page.evaluate(() => (location.hash = "#/%"));
    await page.getByText("There is no report with this id.").waitFor();
    await silent(session);
  });
}
