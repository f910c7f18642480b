// Redrive, cancel and outputs.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, Session } from "./browser.mjs";

before(launch);
afterEach(endAll);
after(close);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const button = ({ page }, name) => page.getByRole("button", { name, exact: true });
const redrives = ({ mock, document }) => mock.asked("POST", `/batches/${document.batchId}/redrive`);

test("a redrive says what it touches, and a double click is one request", async () => {
  const session = await Session.batch("cancelled");
  const { page, mock, document } = session;
  let answer = null;
  mock.gate = new Promise((done) => (answer = done));
  await button(session, "Redrive 78,500 failed records").click();
  const question = page.getByText("This processes 78,500 records again. It costs about $0.103 without Lambda.");
  await question.first().waitFor();
  assert.equal(await session.violations().then((found) => found.length), 0);
  const confirm = button(session, "Confirm: redrive");
  const posts = [];
  page.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
  const element = await confirm.elementHandle();
  await confirm.dblclick();
  await button(session, "Redriving…").waitFor();
  await element.click();
  mock.put({ ...structuredClone(document), batchId: document.batchId, generation: 1 }, `${document.batchId}.r1`);
  answer();
  await page.waitForURL(`**/#/batches/orders/${document.batchId}.r1`);
  await page.getByText("Redriven once; the numbers").waitFor();
  assert.equal(posts.length, 1);
  assert.equal(redrives(session).length, 1);
  const [{ headers, body, query }] = redrives(session);
  assert.match(headers["idempotency-key"], UUID);
  assert.deepEqual([body, query.get("pipeline")], [{}, "orders"]);
  assert.deepEqual(session.errors, []);
});

test("what a redrive costs may not be known", async () => {
  const session = await Session.batch("all-failed");
  await button(session, "Redrive 8,000 failed records").click();
  await session.page.getByText("This processes 8,000 records again. It costs an amount that is not known.").last().waitFor();
});

test("the next generation is waited for", async () => {
  const session = await Session.batch("all-failed");
  await button(session, "Redrive 8,000 failed records").click();
  await button(session, "Confirm: redrive").click();
  await session.page.getByText("A batch that was just asked for begins shortly").waitFor();
  session.mock.put({ ...session.document, generation: 1 }, `${session.document.batchId}.r1`);
  await session.look();
  await session.page.getByText("Redriven once; the numbers").waitFor();
  assert.equal(await session.page.getByRole("alert").count(), 0);
});

test("a redrive under the same name goes on from the end of the generation before", async () => {
  const session = await Session.batch("all-failed", { prepare: (mock) => (mock.redriven = ({ batchId }) => batchId) });
  const { page, mock, document } = session;
  await button(session, "Redrive 8,000 failed records").click();
  await button(session, "Confirm: redrive").click();
  // The server ends the stream, since the batch has ended; the page asks again.
  await mock.until(() => mock.asked("GET", `/batches/${document.batchId}/events`).length >= 1);
  mock.put({ ...document, generation: 1, state: "PROCESSING", finishedAt: null });
  await page.getByText("Redriven once; the numbers").waitFor();
  await page.locator(".state", { hasText: "Processing" }).waitFor();
});

test("a second try is the same action, and a new question is another one", async () => {
  const session = await Session.batch("cancelled");
  const { mock, page, document } = session;
  const path = `POST /batches/${document.batchId}/redrive`;
  mock.problems.set(path, { status: 503, title: "Busy", detail: "The queue did not answer." });
  await button(session, "Redrive 78,500 failed records").click();
  for (const tries of [1, 2]) {
    await button(session, "Confirm: redrive").click();
    await mock.until(() => redrives(session).length === tries);
    await page.getByRole("alert").filter({ hasText: "Wait a moment, then try again." }).waitFor();
  }
  assert.match(await page.getByRole("alert").innerText(), /Busy\s+The queue did not answer\./);
  await button(session, "Back").click();
  mock.problems.set(path, { status: 409, title: "Conflict", detail: "none of its records failed" });
  await button(session, "Redrive 78,500 failed records").click();
  assert.equal(await page.getByRole("alert").count(), 0);
  await button(session, "Confirm: redrive").click();
  await page.getByText("The present state does not allow it.").waitFor();
  const keys = redrives(session).map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys[0], keys[1]);
  assert.notEqual(keys[1], keys[2]);
});

test("a key that is held down opens the question and does not answer it", async () => {
  const session = await Session.batch("cancelled");
  const { page } = session;
  await button(session, "Redrive 78,500 failed records").focus();
  for (const _ of [1, 2, 3]) await page.keyboard.down("Enter");
  await page.keyboard.up("Enter");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /^This processes 78,500 records/);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Confirm: redrive");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Redrive 78,500 failed records");
  assert.equal(redrives(session).length, 0);
});

test("cancel says what it skips, and the batch is cancelling until it has ended", async () => {
  const session = await Session.batch("million");
  const { page, mock, document } = session;
  await mock.until(() => mock.streams > 0);
  await button(session, "Cancel").click();
  await page.getByText("This skips 360,000 records; what is done is kept. That saves about $0.698 without Lambda.").waitFor();
  await button(session, "Confirm: cancel the batch").dblclick();
  await page.getByText("The batch is being cancelled.").waitFor();
  const sent = mock.asked("POST", `/batches/${document.batchId}/cancel`);
  assert.equal(sent.length, 1);
  assert.match(sent[0].headers["idempotency-key"], UUID);
  const error = { code: "CANCELLED", message: "the batch was cancelled before this record was processed" };
  mock.put({ ...document, asOf: "2026-11-20T09:43:37.000Z", error });
  await page.locator(".state", { hasText: "Cancelling" }).waitFor();
  assert.equal(await button(session, "Cancel").count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
  const finishedAt = "2026-11-20T09:43:40.000Z";
  mock.put({ ...document, asOf: finishedAt, finishedAt, error, state: "CANCELLED" });
  await page.locator(".state", { hasText: "Cancelled" }).waitFor();
  assert.deepEqual(session.errors, []);
});

test("outputs are links that download", async () => {
  const session = await Session.batch("cancelled");
  const link = session.page.getByRole("link", { name: "results.jsonl", exact: true });
  const { batchId } = session.document;
  assert.equal(await link.getAttribute("href"), `batches/${batchId}/outputs/results.jsonl?pipeline=orders`);
  const [download] = await Promise.all([session.page.waitForEvent("download"), link.click()]);
  assert.equal(download.url(), `${session.mock.upload}/signed/results.jsonl`);
  assert.deepEqual(session.errors, []);
});

test("outputs are downloaded in spite of a token", async () => {
  const prepare = (mock) => (mock.token = "secret");
  const init = () => sessionStorage.setItem("fanfold-token", "secret");
  const session = await Session.batch("cancelled", { prepare, init });
  const link = session.page.getByRole("link", { name: "results.jsonl", exact: true });
  const [download] = await Promise.all([session.page.waitForEvent("download"), link.click()]);
  assert.equal(download.url(), `${session.mock.upload}/signed/results.jsonl`);
});
