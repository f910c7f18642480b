// Uploads: by drag and drop, and by keyboard.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, Session } from "./browser.mjs";
import { golden } from "./server.mjs";

before(launch);
afterEach(endAll);
after(close);

const FILE = { name: "orders.csv", mimeType: "text/csv", buffer: Buffer.from("itemNo,price\nA-1,2.50\n") };
const posts = ({ mock }) => mock.asked("POST", "/batches");

/** The list, over a mock that makes a batch of each upload. */
async function open(list = "list-empty", prepare = () => {}) {
  const session = await Session.open(async (mock) => {
    await mock.show(list);
    const view = await golden("one-record");
    const made = { ...view, batchId: "orders-0123456789ab", input: { ...view.input, key: "in/orders.csv" } };
    mock.on("upload", () => mock.put({ ...made, pipeline: posts({ mock }).at(-1).body.pipeline }));
    prepare(mock, made);
  });
  await session.page.locator("main:not(.loading)").waitFor();
  return session;
}

async function drop({ page }, ...names) {
  const dataTransfer = await page.evaluateHandle((all) => {
    const transfer = new DataTransfer();
    for (const name of all) transfer.items.add(new File(["itemNo,price\nA-1,2.50\n"], name, { type: "text/csv" }));
    return transfer;
  }, names);
  for (const event of ["dragenter", "dragover", "drop"]) await page.dispatchEvent("body", event, { dataTransfer });
}

const arrives = ({ page }) => page.getByRole("heading", { level: 1, name: "orders.csv" }).waitFor();

test("a file that is dropped ends on the page of its batch", async () => {
  const session = await open();
  await drop(session, "orders.csv");
  await arrives(session);
  assert.match(session.page.url(), /#\/batches\/orders\/orders-0123456789ab$/);
  const [{ body, headers }] = posts(session);
  assert.deepEqual(body, { pipeline: "orders", key: "orders.csv", bytes: 22 });
  assert.match(headers["idempotency-key"], /^[0-9a-f-]{36}$/);
  const parts = Array.from(session.mock.uploads[0].body.matchAll(/; name="([^"]+)"/g), ([, name]) => name);
  assert.deepEqual(parts, ["key", "policy", "x-amz-signature", "file"]);
  assert.match(session.mock.uploads[0].body, /A-1,2\.50/);
  assert.deepEqual(session.errors, []);
});

test("a file that is chosen with the keyboard ends there, too, in the pipeline that was chosen", async () => {
  const session = await open("list-pipelines");
  const { page } = session;
  // The browser needs a moment until it asks here for the file, and not a person.
  const chosen = page.waitForEvent("filechooser");
  const which = page.getByLabel("Upload to");
  await which.focus();
  await page.keyboard.type("mail");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "file");
  await page.keyboard.press("Space");
  await (await chosen).setFiles(FILE);
  await arrives(session);
  assert.equal(posts(session)[0].body.pipeline, "mail");
  assert.match(page.url(), /#\/batches\/mail\//);
  // Whoever listens goes on reading from the title.
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
  assert.deepEqual(session.errors, []);
});

test("a batch of an earlier upload under the same key is not taken for the new one", async () => {
  const session = await open("list-empty", (mock, made) => mock.put({ ...made, batchId: "orders-aaaaaaaaaaaa" }));
  await drop(session, "orders.csv");
  await arrives(session);
  assert.match(session.page.url(), /orders-0123456789ab$/);
});

test("what the bucket says is shown, and a second try is the same upload", async () => {
  const session = await open();
  const { mock, page } = session;
  const words = "Your proposed upload exceeds the maximum allowed size";
  mock.bucket = { status: 400, body: `<Error><Code>EntityTooLarge</Code><Message>${words}</Message></Error>` };
  await drop(session, "orders.csv");
  const problem = page.getByRole("alert");
  await problem.waitFor();
  assert.match(await problem.innerText(), new RegExp(`The bucket refused the file \\(EntityTooLarge\\)\\s+${words}`));
  mock.bucket = { status: 204, body: "" };
  await page.getByRole("button", { name: "Try again" }).click();
  await arrives(session);
  const keys = posts(session).map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
});

test("a second try does not send what has arrived", async () => {
  const gone = { status: 503, title: "Busy", detail: "The ledger did not answer." };
  const session = await open("list-empty", (mock) => mock.on("upload", () => mock.problems.set("GET /batches", gone)));
  const { mock, page } = session;
  await drop(session, "orders.csv");
  await page.locator(".upload").getByText("The ledger did not answer.").waitFor();
  mock.problems.clear();
  await page.getByRole("button", { name: "Try again" }).click();
  await arrives(session);
  assert.equal(mock.uploads.length, 1);
});

test("what the server says is shown where the upload is", async () => {
  const problem = { status: 403, title: "Forbidden", detail: "Uploads to orders are not allowed." };
  const session = await open("list-empty", (mock) => mock.problems.set("POST /batches", problem));
  await drop(session, "orders.csv");
  const box = session.page.locator(".upload").getByRole("alert");
  await box.waitFor();
  assert.match(await box.innerText(), /Forbidden\s+Uploads to orders are not allowed\.\s+The credentials or the token/);
});

test("a paused pipeline is named while its batch is waited for", async () => {
  const session = await open("list-paused", (mock) => mock.removeAllListeners("upload"));
  await drop(session, "orders.csv");
  await session.page.getByText("Its batch begins once the pipeline, which is paused, is resumed.").first().waitFor();
});

test("a file that is dropped elsewhere does not replace the page", async () => {
  const session = await Session.batch("cancelled");
  const prevented = await session.page.evaluate(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["a"], "a.csv"));
    return ["dragover", "drop"].map((name) => !dispatchEvent(new DragEvent(name, { dataTransfer, cancelable: true })));
  });
  assert.deepEqual(prevented, [true, true]);
});

test("two files at once are refused", async () => {
  const session = await open();
  await drop(session, "one.csv", "two.csv");
  await session.page.getByText("You dropped 2 files.").waitFor();
  assert.equal(posts(session).length, 0);
});
