// The page as `fanfold serve` serves it, over a deployment on a local AWS; skipped where there is none.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { close, launch, visit } from "./browser.mjs";

const { FANFOLD_TEST_BIN: binary, FANFOLD_TEST_DEPLOYMENT: deployment, PAGE_SHOTS: shots } = process.env;
const skip = binary && deployment ? false : "there is no deployment";
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
  if (shots) await page.screenshot({ path: `${shots}/batch.png`, fullPage: true });

  await page.getByRole("button", { name: "Redrive 1 failed record", exact: false }).first().click();
  await page.getByRole("button", { name: "Confirm: redrive", exact: true }).dblclick();
  await page.waitForURL(/[.]r1$/);
  await main.getByText("Redriven once", { exact: false }).first().waitFor();
  await main.getByText("PARTIALLY FAILED", { exact: false }).first().waitFor();

  await page.goto(`${origin}/#/`);
  await main.getByText(name).first().waitFor();
  assert.deepEqual(await violations(), []);
  if (shots) await page.screenshot({ path: `${shots}/batches.png`, fullPage: true });
  assert.deepEqual(errors, []);
});
