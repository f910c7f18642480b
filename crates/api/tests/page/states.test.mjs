// Each state of a batch and of the list: what the page says, for whom, and whether anything is wrong with it.

import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, NARROW, Session, WIDE } from "./browser.mjs";

before(launch);
afterEach(endAll);
after(close);

const BATCHES = {
  "one-record": [/Succeeded/, /1 succeeded and 0 failed of 1 record$/m, /results\.json/],
  "sealed-late": [/Scattering/, /121,740\s+of at least 184,000 records/],
  stalled: [
    /Stalled: nothing was done for 5 min 5\d s/,
    /Chunks that are not done: 3, 17, 204/,
    /Sweep has sent them again 2 times/,
  ],
  "all-failed": [/Partially failed/, /Failed\s*8,000\s*100 %/, /Record 0, line 2/, /Redrive 8,000 failed records/],
  broken: [/Error BROKEN_GZIP/, /cannot be redriven/, /Upload the whole file again/, /Download these 379/],
  cancelled: [
    /Error CANCELLED/,
    /Redrive these 78,500/,
    /without Lambda/,
    /78,500 were skipped/,
    /Redrive 78,500 failed records/,
  ],
  paused: [/The pipeline billing is paused/, /Stalled/],
  million: [/Processing/, /41,943 of 65,536 chunks/, /6 min 3\d s/, /5 min 3\d s to 8 min \d+ s|5 min 3\d s to 8 min/],
  redrive: [/Redriven once; the numbers are those of the latest redrive/, /1,216 of 1,988 records/],
  clock: [/Slow: it last advanced [5-9] s ago/, /Chunk 21 waits: the table is too busy/],
};
const LISTS = {
  "list-empty": [/No batches yet/, /fanfold submit FILE/],
  "list-paused": [/The pipeline billing is paused/, /Resume pipeline billing/, /invoices\.csv/],
  "list-pipelines": [/Upload to/, /4,000 succeeded and 0 failed of at least 9,000 records/],
  "list-forty": [/orders-00\.csv/, /orders-39\.csv/],
};

const LOOKS = [["light", WIDE], ["dark", NARROW], ["light", NARROW], ["dark", WIDE]];
/** What has most to show is looked at in all ways; for the others, each colour scheme and each width is in the first two. */
const MOST = ["stalled", "cancelled", "list-forty"];

/** Nothing is wrong in light and dark, on a wide and a narrow screen. */
async function flawless(name, session) {
  const { page, errors } = session;
  for (const [colorScheme, size] of LOOKS.slice(0, MOST.includes(name) ? 4 : 2)) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    assert.deepEqual(await session.violations(), [], `${colorScheme} ${size.width}`);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `${beyond} pixels are out of sight at ${size.width}`);
  }
  assert.deepEqual(errors, []);
}

async function says(session, expected) {
  const words = await session.page.locator("main").evaluate((main) => {
    const labels = Array.from(main.querySelectorAll("[aria-label]"), (element) => element.getAttribute("aria-label"));
    return [main.innerText, ...labels].join("\n");
  });
  for (const pattern of expected) assert.match(words, pattern);
}

for (const [name, expected] of Object.entries(BATCHES)) {
  test(`a batch: ${name}`, async () => {
    const pause = (mock) => name === "paused" && Object.assign(mock.pipelines[0], { paused: true });
    const session = await Session.batch(name, { prepare: pause });
    if (name === "paused") await session.page.getByText("is paused").waitFor();
    await says(session, expected);
    await flawless(name, session);
    });
}

for (const [name, expected] of Object.entries(LISTS)) {
  test(`the list: ${name}`, async () => {
    const session = await Session.open((mock) => mock.show(name));
    await session.page.locator("main:not(.loading)").waitFor();
    await says(session, expected);
    await flawless(name, session);
    });
}

test("each golden document is shown by a test", async () => {
  const files = await readdir(new URL("golden/", import.meta.url));
  const shown = Object.keys({ ...BATCHES, ...LISTS }).map((name) => `${name}.json`);
  assert.deepEqual(files.sort(), shown.sort());
});

test("a batch that has ended is never shown as running", async () => {
  for (const state of ["SUCCEEDED", "PARTIALLY_FAILED", "FAILED", "CANCELLED"]) {
    // What a batch has left behind must not matter.
    const left = (mock, view) => {
      view.state = state;
      Object.assign(view.chunks, { running: 3, waiting: 4, missing: [1] });
      view.standstill = { kind: "STALLED", since: view.startedAt, reasons: ["3 chunks wait for a worker"] };
      Object.assign(view, { timeLeft: { seconds: 9, least: 8, most: 10 }, mended: { times: 1, nextAt: view.asOf } });
      Object.assign(view.records, { total: 130_000, atLeast: 130_000, running: 4000, waiting: 6000 });
      mock.pipelines[0].paused = true;
    };
    const session = await Session.batch("cancelled", { prepare: left });
    await session.mock.until(() => session.mock.asked("GET", "/pipelines").length > 0);
    const running = /running|processing|waiting|not done|slow|stalled|time left|elapsed|is paused/i;
    assert.doesNotMatch(await session.text(), running, state);
    const pieces = session.page.locator(".bar .running:visible, .bar .waiting:visible");
    assert.equal(await pieces.count(), 0, "the bar has nothing that runs");
    assert.equal(await session.page.getByRole("button", { name: "Cancel" }).count(), 0);
    await session.page.goto(`${session.mock.origin}/#/`);
    await session.page.locator("table.batches .state").waitFor();
    assert.equal(await pieces.count(), 0, "nor has the small one");
    assert.doesNotMatch(await session.text("table.batches tbody"), /running|processing|slow|stalled|\bfor \d/i, state);
    }
});

for (const hours of [-1, 1]) {
  test(`times are right although the reader's clock is ${hours > 0 ? "ahead" : "behind"} by an hour`, async () => {
    const begun = Date.parse("2026-11-20T09:31:30.000Z");
    const session = await Session.batch("clock", { clock: begun + hours * 3_600_000 });
    const elapsed = session.page.locator(".figure", { hasText: "Elapsed" }).locator(".main");
    assert.match(await elapsed.innerText(), /^1 min 3\d s$/);
    // It goes on between two documents.
    const goesOn = (before) => !document.body.innerText.includes(before);
    await session.page.waitForFunction(goesOn, await elapsed.innerText());
    assert.match(await elapsed.innerText(), /^1 min 3\d s$/);
    const started = session.page.locator("time[datetime='2026-11-20T09:30:00.000Z']").last();
    assert.equal(await started.innerText(), "20 Nov 2026, 10:30:00");
    assert.equal(await started.getAttribute("title"), "2026-11-20 09:30:00 UTC");
    await session.page.goto(`${session.mock.origin}/#/`);
    await session.page.locator("table.batches .when", { hasText: "for 1 min 30 s" }).waitFor();
    });
}

// What the pages of reports and billing have for themselves, no other loads; a test in Rust counts it.
const OF_OTHERS = new Set(["billing.html", "billing.js", "reports.html", "reports.js", "ways.js"]);

test("all files of the page of batches are below 100 KB together", async () => {
  const folder = new URL("../../page/", import.meta.url);
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  assert.ok(entries.every((entry) => entry.isFile()), "the page is one folder");
  const loaded = entries.filter(({ name }) => !OF_OTHERS.has(name));
  const sizes = await Promise.all(loaded.map(async ({ name }) => (await stat(new URL(name, folder))).size));
  const all = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(all > 10_000 && all < 100_000, `${all} bytes`);
});
