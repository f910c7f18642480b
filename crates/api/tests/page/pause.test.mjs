// Pausing a pipeline, and resuming it.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, Session } from "./browser.mjs";

before(launch);
afterEach(endAll);
after(close);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const button = ({ page }, name) => page.getByRole("button", { name, exact: true });
const focused = ({ page }) => page.evaluate(() => document.activeElement.textContent);
const runs = (mock) => (mock.pipelines[0].paused = false);

test("a pipeline is paused and resumed from the page of its batch", async () => {
  const session = await Session.batch("clock", { prepare: runs });
  const { page, mock } = session;
  let answer = null;
  mock.gate = new Promise((done) => (answer = done));
  // It takes a while until the server sees it.
  mock.turn = () => {};
  await button(session, "Pause pipeline").click();
  const touched = "This pauses all batches of the pipeline orders: chunks that wait stay, those that run end.";
  await page.getByText(touched).waitFor();
  await page.getByText("Queued messages are kept for 14 days at most; sweep sends them again after that.").waitFor();
  assert.deepEqual(await session.violations(), []);
  const confirm = await button(session, "Confirm: pause").elementHandle();
  await confirm.dblclick();
  await button(session, "Pausing…").waitFor();
  await confirm.click();
  answer();
  await page.getByText("The pipeline is being paused.").waitFor();
  assert.equal(await button(session, "Resume pipeline").count(), 0, "it is not paused yet");
  mock.pipelines[0].paused = true;
  await session.look();
  await page.getByText("The pipeline orders is paused. Its batches go on once it is resumed.").waitFor();
  await page.getByRole("status").filter({ hasText: "The pipeline orders is paused." }).waitFor();
  assert.equal(await focused(session), "Resume pipeline");
  assert.equal(await button(session, "Pause pipeline").count(), 0);

  mock.turn = (pipeline, paused) => (pipeline.paused = paused);
  await button(session, "Resume pipeline").click();
  await page.getByText("This resumes all batches of the pipeline orders").waitFor();
  assert.deepEqual(await session.violations(), []);
  await button(session, "Confirm: resume").click();
  await button(session, "Pause pipeline").waitFor();
  assert.equal(await focused(session), "Pause pipeline");
  assert.equal(await button(session, "Pause pipeline").getAttribute("aria-expanded"), "false");
  assert.equal(await page.getByText("is paused").locator("visible=true").count(), 0);

  const [pauses, resumes] = ["pause", "resume"].map((verb) => mock.asked("POST", `/pipelines/orders/${verb}`));
  assert.deepEqual([pauses.length, resumes.length], [1, 1]);
  const keys = [...pauses, ...resumes].map(({ headers }) => headers["idempotency-key"]);
  keys.forEach((key) => assert.match(key, UUID));
  assert.notEqual(keys[0], keys[1]);
  assert.deepEqual(session.errors, []);
});

test("what a pipeline does is asked as soon as that is changed", async () => {
  const init = () => {
    globalThis.away = false;
    Object.defineProperty(document, "hidden", { get: () => globalThis.away });
  };
  const session = await Session.batch("clock", { prepare: runs, init });
  await button(session, "Pause pipeline").click();
  // It is not polled meanwhile.
  await session.page.evaluate(() => (globalThis.away = true));
  await session.look();
  await button(session, "Confirm: pause").click();
  await button(session, "Resume pipeline").waitFor();
});

test("a pipeline of which nobody knows whether it is paused can neither be paused nor resumed", async () => {
  const session = await Session.batch("clock", { prepare: runs });
  await button(session, "Pause pipeline").waitFor();
  session.mock.pipelines[0].paused = null;
  await session.look();
  await button(session, "Pause pipeline").waitFor({ state: "hidden" });
  assert.equal(await session.page.getByRole("button", { name: /pipeline/ }).count(), 0);
});

test("the page of a batch that has ended has nothing to pause", async () => {
  const session = await Session.batch("clock", { prepare: runs });
  const { page, mock, document } = session;
  await button(session, "Pause pipeline").click();
  await mock.until(() => mock.streams > 0);
  mock.put({ ...document, state: "SUCCEEDED", standstill: null, finishedAt: document.asOf });
  await page.locator(".state", { hasText: "Succeeded" }).waitFor();
  assert.equal(await page.getByRole("button", { name: /pipeline/ }).count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
});

test("a redrive under the same name can be paused again", async () => {
  const prepare = (mock, view) => {
    runs(mock);
    mock.redriven = () => view.batchId;
  };
  const session = await Session.batch("all-failed", { prepare });
  const { page, mock, document } = session;
  await mock.until(() => mock.asked("GET", "/pipelines").length === 1);
  mock.pipelines[0].paused = true;
  await button(session, "Redrive 8,000 failed records").click();
  await button(session, "Confirm: redrive").click();
  await mock.until(() => mock.asked("POST", `/batches/${document.batchId}/redrive`).length === 1);
  mock.put({ ...document, generation: 1, state: "PROCESSING", finishedAt: null });
  await page.getByText("The pipeline orders is paused. Its batches").waitFor();
  await button(session, "Resume pipeline").waitFor();
});

test("what the server says is shown where it was asked", async () => {
  const session = await Session.batch("clock", { prepare: runs });
  const path = "POST /pipelines/orders/pause";
  session.mock.problems.set(path, { status: 403, title: "Forbidden", detail: "The role may not do that." });
  await button(session, "Pause pipeline").click();
  await button(session, "Confirm: pause").click();
  await session.page.locator(".ask").getByRole("alert").filter({ hasText: "The role may not do that." }).waitFor();
  await button(session, "Back").click();
  assert.equal(await focused(session), "Pause pipeline");
});

test("the list resumes each pipeline that is paused", async () => {
  const session = await Session.open(async (mock) => {
    await mock.show("list-pipelines");
    mock.pipelines[0].paused = true;
  });
  const { page, mock } = session;
  await button(session, "Resume pipeline orders").waitFor();
  await button(session, "Resume pipeline billing").click();
  await page.getByText("This resumes all batches of the pipeline billing").waitFor();
  assert.deepEqual(await session.violations(), []);
  await button(session, "Confirm: resume").dblclick();
  await page.getByText("The pipeline billing is paused").waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
  assert.equal(mock.asked("POST", "/pipelines/billing/resume").length, 1);
  assert.equal(mock.asked("POST", "/pipelines/orders/resume").length, 0);
  await button(session, "Resume pipeline orders").waitFor();
  assert.equal(await page.getByRole("button", { name: /^Pause/ }).count(), 0);
  assert.deepEqual(session.errors, []);
});

test("pipelines in an object are understood, too", async () => {
  const list = await Session.open(async (mock) => {
    await mock.show("list-paused");
    mock.wrapped = true;
  });
  await button(list, "Resume pipeline billing").waitFor();
  const prepare = (mock) => {
    runs(mock);
    mock.wrapped = true;
  };
  await button(await Session.batch("clock", { prepare }), "Pause pipeline").waitFor();
});
