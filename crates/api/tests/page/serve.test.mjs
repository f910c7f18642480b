// The page as `fanfold serve` serves it, over a deployment on a local AWS; skipped where there is none.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { close, launch, visit } from "./browser.mjs";

const { FANFOLD_TEST_BIN: binary, FANFOLD_TEST_DEPLOYMENT: deployment } = process.env;
// A folder for pictures, the pipeline and id of the batch that they show, which still runs, and whether there is billing: `make screenshots` gives them.
const { PAGE_SHOTS: shots, PAGE_BATCH: large, PAGE_BILLING: billing } = process.env;
const skip = binary && deployment ? false : "there is no deployment";
const unseen = (asked) => skip || (shots && asked ? false : "no pictures are asked for");
const ROWS = "itemNo,price\npage-a,1\npage-b,none\npage-c,3\n";

let server = null;
let origin = null;

before(async () => {
  await launch();
  if (skip) return;
  server = spawn(binary, ["serve", "--port", "0", "--deployment", deployment], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: server.stdout })) {
    origin = line.replace(/\/$/, "");
    break;
  }
});
after(async () => {
  await close();
  server?.kill();
});

test("a file is dropped, processed, looked at, redriven and downloaded", { skip, timeout: 120_000 }, async () => {
  const { page, errors, violations } = await visit(origin);
  await page.locator("main:not(.loading)").waitFor();
  await page.getByLabel("Upload to").selectOption("chunked");
  const name = `dropped-${process.pid}.csv`;
  const dataTransfer = await page.evaluateHandle(([name, rows]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([rows], name, { type: "text/csv" }));
    return transfer;
  }, [name, ROWS]);
  for (const event of ["dragenter", "dragover", "drop"]) await page.dispatchEvent("body", event, { dataTransfer });
  await page.getByRole("heading", { level: 1, name }).waitFor();
  const main = page.locator("main");
  await main.getByText("PARTIALLY FAILED", { exact: false }).first().waitFor();
  assert.match(await main.innerText(), /page-b|none/);
  assert.deepEqual(await violations(), []);

  await page.getByRole("button", { name: "Redrive 1 failed record", exact: false }).first().click();
  await page.getByRole("button", { name: "Confirm: redrive", exact: true }).dblclick();
  await page.waitForURL(/[.]r1$/);
  await main.getByText("Redriven once", { exact: false }).first().waitFor();
  await main.getByText("PARTIALLY FAILED", { exact: false }).first().waitFor();

  await page.goto(`${origin}/#/`);
  await main.getByText(name).first().waitFor();
  assert.deepEqual(await violations(), []);
  assert.deepEqual(errors, []);
});

// Down to the end of an element: a whole page would be too long beside text.
async function picture(page, name, last, below = 24) {
  const { y, height } = await page.locator(last).first().boundingBox();
  const clip = { x: 0, y: 0, width: 1200, height: Math.ceil(y + height) + below };
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true, clip, animations: "disabled" });
}

test("pictures: what was billed", { skip: unseen(billing), timeout: 60_000 }, async () => {
  const { page, errors } = await visit(`${origin}/billing.html`, { viewport: { width: 1200, height: 600 } });
  await page.getByText("events in = billed + unbilled + rejected").waitFor();
  // Down to a client whose name each machine has letters for.
  await picture(page, "page-billing", "tbody tr:nth-last-child(2)", 0);
  assert.deepEqual(errors, []);
});

const ASKED = "pictures: a batch that runs, the list, and the batch in the dark once it is closed";
test(ASKED, { skip: unseen(large), timeout: 600_000 }, async () => {
  const address = `${origin}/#/batches/${large}`;
  const { page: batch, errors } = await visit(address, { viewport: { width: 1200, height: 600 } });
  // Far enough that there is something to see, and not so far that the list would show the batch closed.
  await batch.locator(".figure .main", { hasText: /^[6-7]\d %$/ }).waitFor({ timeout: 120_000 });
  await picture(batch, "page-batch", "section[aria-labelledby=h-stages]");

  // Beside the batch, whose charts begin when its page is opened.
  const list = await batch.context().newPage();
  await list.goto(`${origin}/#/`);
  await list.getByRole("row").filter({ hasText: "Processing" }).waitFor();
  await picture(list, "page-batches", "table.batches");

  await batch.locator(".state", { hasText: "Partially failed" }).waitFor({ timeout: 400_000 });
  await batch.emulateMedia({ colorScheme: "dark" });
  await picture(batch, "page-batch-dark", ".group");
  assert.deepEqual(errors, []);
});

test("a report is asked for, waited for in each way, and there", { skip, timeout: 120_000 }, async () => {
  const { page, errors, violations } = await visit(`${origin}/reports.html`);
  for (const way of ["long", "again", "events", "socket", "link"]) {
    await page.locator(`[value=${way}]`).check();
    await page.getByLabel("First day").fill("2026-02-27");
    await page.getByLabel("Day after the last").fill("2026-03-01");
    await page.getByLabel("Assets").fill(`never counted, ${way} ${process.pid}`);
    await page.getByRole("button", { name: "Ask for it" }).click();
    await page.getByText("0 rows of 1 of 1 asset").waitFor();
    const documents = page.getByLabel("Documents").getByRole("button");
    assert.deepEqual((await documents.allInnerTexts()).map((text) => text.split(",")[0]), ["PDF", "CSV", "JSON"]);
    await page.goto(`${origin}/reports.html`);
  }
  await page.getByRole("button", { name: "Ask for it" }).waitFor();
  assert.deepEqual([errors, await violations()], [[], []]);
});
