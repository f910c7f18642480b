// What can be done about the records that failed for one reason.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, Session } from "./browser.mjs";

before(launch);
afterEach(endAll);
after(close);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const button = ({ page }, name) => page.getByRole("button", { name, exact: true });
const redrives = ({ mock, document }) => mock.asked("POST", `/batches/${document.batchId}/redrive`);
const group = ({ page }, reason) => page.locator(".group", { has: page.getByRole("heading", { name: reason }) });
const PRICE = "price: the cell … is not a number";

/** The batch that stalled, once it has ended with two reasons; `more` changes it further. */
function ended(more = () => {}) {
  return (mock, view) => {
    Object.assign(view, { state: "PARTIALLY_FAILED", standstill: null, mended: null, finishedAt: view.asOf, redrivable: true });
    Object.assign(view.records, { succeeded: 248_012, running: 0, waiting: 0 });
    more(view, mock);
  };
}

test("the records of one reason are redriven, once however often it is confirmed", async () => {
  const session = await Session.batch("stalled", { prepare: ended() });
  const { page, mock, document } = session;
  let answer = null;
  mock.gate = new Promise((done) => (answer = done));
  await button(session, "Redrive 1,988 failed records").waitFor();
  const open = button(session, "Redrive these 1,702");
  const described = (one) => document.getElementById(one.getAttribute("aria-describedby")).textContent;
  assert.equal(await open.evaluate(described), PRICE);
  await open.click();
  const text = "This processes 1,702 records again, of this reason alone. It costs about $0.0023 without Lambda.";
  await group(session, PRICE).getByText(text).waitFor();
  assert.deepEqual(await session.violations(), []);
  await button(session, "Confirm: redrive").dblclick();
  await button(session, "Redriving…").click();
  mock.put({ ...document, generation: 1 }, `${document.batchId}.r1`);
  answer();
  await page.waitForURL(`**/#/batches/orders/${document.batchId}.r1`);
  await page.getByText("Redriven once; the numbers").waitFor();
  assert.equal(redrives(session).length, 1);
  const [{ headers, body, query }] = redrives(session);
  assert.match(headers["idempotency-key"], UUID);
  assert.deepEqual([body, query.get("pipeline")], [{ reason: "e22afddb" }, "orders"]);
  assert.deepEqual(session.errors, []);
});

test("what the server says about a reason is shown beside it, and a second try has the same key", async () => {
  const session = await Session.batch("stalled", { prepare: ended() });
  const path = `POST /batches/${session.document.batchId}/redrive`;
  session.mock.problems.set(path, { status: 409, title: "Conflict", detail: "it is being redriven" });
  await button(session, "Redrive these 286").click();
  const [problem, confirm] = [group(session, /itemNo/).getByRole("alert"), button(session, "Confirm: redrive")];
  await confirm.click();
  await problem.getByText("it is being redriven").waitFor();
  await problem.getByText("The present state does not allow it.").waitFor();
  await confirm.click();
  await session.mock.until(() => redrives(session).length === 2);
  const [one, other] = redrives(session);
  assert.equal(one.headers["idempotency-key"], other.headers["idempotency-key"]);
  assert.deepEqual(other.body, { reason: "d40accc0" });
});

test("a reason is neither redriven nor downloaded while the batch runs", async () => {
  const session = await Session.batch("stalled");
  await group(session, PRICE).getByText("1,702", { exact: true }).waitFor();
  assert.equal(await group(session, PRICE).getByRole("link").count(), 0);
  await session.page.getByText("Failed records can be redriven and downloaded once the batch has ended.").waitFor();
  assert.equal(await session.page.getByRole("button", { name: /^Redrive/ }).count(), 0);
});

test("neither all other reasons together nor one without a name are redriven by themselves", async () => {
  const session = await Session.batch("stalled", {
    prepare: ended(({ failures: [one, two] }) => {
      Object.assign(one, { id: "other", count: 1987 });
      Object.assign(two, { id: "", count: 1 });
    }),
  });
  await button(session, "Redrive 1,988 failed records").waitFor();
  assert.equal(await session.page.getByRole("button", { name: /^Redrive/ }).count(), 1);
  assert.equal(await session.page.getByRole("link", { name: "Download these 1,987" }).count(), 1);
  assert.equal(await session.page.getByRole("link", { name: "Download this one" }).count(), 0);
});

test("what cannot be redriven is not offered, and the page says why", async () => {
  const session = await Session.batch("broken");
  await session.page.getByText("For this reason, the failed records cannot be redriven.").waitFor();
  assert.equal(await session.page.getByRole("button", { name: /^Redrive/ }).count(), 0);
  assert.equal((await session.text()).match(/cannot be redriven/g).length, 1);
  session.mock.put({ ...session.document, error: null }, "returns-2");
  await session.page.goto(`${session.mock.origin}/#/batches/orders/returns-2`);
  await session.page.locator(".title").getByText("The failed records cannot be redriven.").waitFor();
  assert.equal(await session.page.getByRole("button", { name: /^Redrive/ }).count(), 0);
});

test("a batch without failed records says nothing about a redrive", async () => {
  const prepare = (mock, view) => (view.redrivable = false);
  const session = await Session.batch("one-record", { prepare });
  assert.doesNotMatch(await session.text(), /redriv/i);
});

test("the records of a reason are a link that downloads", async () => {
  const session = await Session.batch("stalled", { prepare: ended() });
  const { page, document } = session;
  const link = group(session, PRICE).getByRole("link", { name: "Download these 1,702" });
  assert.equal(await link.getAttribute("href"), `batches/${document.batchId}/failures?pipeline=orders&reason=e22afddb`);
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  assert.equal(download.suggestedFilename(), "failed-e22afddb.csv");
  assert.deepEqual(session.errors, []);
});

test("they are downloaded in spite of a token, and once however often that is clicked", async () => {
  const prepare = ended((view, mock) => (mock.token = "secret"));
  const init = () => sessionStorage.setItem("fanfold-token", "secret");
  const session = await Session.batch("stalled", { prepare, init });
  const { page, mock, document } = session;
  const link = group(session, PRICE).getByRole("link", { name: "Download these 1,702" });
  const [download] = await Promise.all([page.waitForEvent("download"), link.dblclick()]);
  assert.equal(download.suggestedFilename(), "failed-e22afddb.csv");
  assert.match(await readFile(await download.path(), "utf8"), /^line 42: price: the cell "cheap" is not a number\n/);
  const path = `/batches/${document.batchId}/failures`;
  assert.equal(mock.asked("GET", path).length, 1);
  mock.problems.set(`GET ${path}`, { status: 404, title: "Not found", detail: "The outcomes are no longer kept." });
  await link.click();
  await group(session, PRICE).getByRole("alert").getByText("The outcomes are no longer kept.").waitFor();
  mock.problems.clear();
  await Promise.all([page.waitForEvent("download"), link.click()]);
  await group(session, PRICE).getByRole("alert").waitFor({ state: "hidden" });
  assert.deepEqual(session.errors, []);
});

test("a question does not take the focus when its batch goes on", async () => {
  const prepare = ended((view, mock) => (mock.redriven = () => view.batchId));
  const session = await Session.batch("stalled", { prepare });
  const { page, mock, document } = session;
  await button(session, "Redrive these 286").click();
  await button(session, "Redrive 1,988 failed records").click();
  await page.locator(".head").getByRole("button", { name: "Confirm: redrive" }).click();
  await page.locator(".head .note:visible", { hasText: "The redrive has been asked for." }).waitFor();
  await page.getByText("Status document (JSON)").focus();
  mock.put({ ...document, generation: 1, state: "PROCESSING", finishedAt: null });
  await page.getByText("Redriven once; the numbers").waitFor();
  assert.equal(await page.getByRole("button", { name: "Confirm: redrive" }).count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "SUMMARY");
});

test("a file has the name that the server tells", async () => {
  const session = await Session.batch("one-record");
  const names = await session.page.evaluate(async () => {
    const { fileName } = await import("/net.js");
    const told = ["attachment; filename=\"a b.csv\"", "attachment; filename=a.csv; x=y", null];
    told.push("attachment; filename=\"x.csv\"; filename*=UTF-8''R%C3%BCck.csv", "attachment; filename*=UTF-8''%ff");
    return told.map(fileName);
  });
  assert.deepEqual(names, ["a b.csv", "a.csv", "failed", "Rück.csv", "failed"]);
});
