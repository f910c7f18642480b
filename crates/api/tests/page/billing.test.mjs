// The page of billing: clients and half months, and whether each event is accounted for.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { close, endAll, launch, NARROW, Session } from "./browser.mjs";

before(launch);
after(close);
afterEach(endAll);

const none = { came: 0, billed: 0, unbilled: 0, conflicts: 0, rejected: 0 };
const [H1, H2] = ["2026-10-H1", "2026-10-H2"];
const pack = (id, state, more = {}) => ({ id, state, events: 12, total: "40.20", currency: "EUR", ...more });
const anna = [
  { client: "anna", half: H1, events: { ...none, came: 14, billed: 12, conflicts: 2 }, packages: [pack("anna/2026-10/H1/0", "PROCESSED", { invoice: "inv-1" })] },
  {
    client: "anna",
    half: H2,
    events: { ...none, came: 30, billed: 24, unbilled: 6 },
    packages: [pack("anna/2026-10/H2/0", "ACCEPTED"), pack("anna/2026-10/H2/1", "REJECTED", { total: "-1.5", reason: "no such customer" })],
  },
];
const markup = "<img src=x onerror=alert(1)> & 株式会社";
const bert = { client: markup, half: H2, events: { ...none, came: 3, billed: 3 }, packages: [{ id: "b/2026-10/H2/0", state: "UNKNOWN", events: 3 }] };
const nobody = { client: "", half: H1, events: { ...none, came: 1, rejected: 1 }, packages: [] };
const account = {
  pipeline: "billing",
  batchId: "2026-11-01T00-00-00.000Z-all-0123456789ab",
  asOf: "2026-11-20T09:30:00.000Z",
  events: { came: 48, billed: 39, unbilled: 6, conflicts: 2, rejected: 1 },
  difference: 0,
  notClosed: 0,
  halves: [H1, H2],
  clients: { "": [nobody], anna, [markup]: [bert] },
  more: false,
};

async function open(of, options = {}) {
  const session = await Session.open((mock) => (mock.account = of), options);
  await session.page.goto(`${session.mock.origin}/billing.html`);
  return session;
}

const cells = (page, name) => page.getByRole("row", { name }).getByRole("cell").allInnerTexts();

test("clients and half months are a table of packages and of what is not billed", async () => {
  const session = await open(account);
  const { page } = session;
  await page.getByText("events in = billed + unbilled + rejected: 48 = 39 + 6 + 3", { exact: true }).waitFor();
  const heads = await page.getByRole("columnheader").allInnerTexts();
  assert.deepEqual(heads, ["Client", H1, H2]);
  const [first, second] = await cells(page, "anna");
  assert.match(first, /^Processed 40\.20 EUR\s+2 conflicts$/);
  assert.match(second, /^Accepted 40\.20 EUR\s+Rejected -1\.5 EUR\s+6 unbilled$/);
  assert.deepEqual(await cells(page, "of no client"), ["1 rejected", ""]);
  assert.match((await cells(page, markup))[1], /^Unknown 3 events$/, "names are text, and packages may have no prices");
  const told = await page.getByText("Rejected", { exact: true }).locator("..").getAttribute("title");
  assert.equal(told, "anna/2026-10/H2/1, 12 events, no such customer");
  assert.equal(await page.getByRole("link", { name: "batch", exact: true }).getAttribute("href"), `./#/batches/billing/${account.batchId}`);
  assert.deepEqual([session.errors, await session.violations()], [[], []]);
});

test("clients are found by how their names begin", async () => {
  const { mock, page } = await open(account);
  await page.getByRole("row", { name: "anna" }).waitFor();
  await page.getByRole("searchbox").fill("an");
  await mock.until(() => mock.asked("GET", "/billing").some(({ query }) => query.get("client") === "an"));
  await page.getByRole("row", { name: "of no client" }).waitFor({ state: "detached" });
  assert.equal(await page.getByRole("row").count(), 2);
  await page.getByRole("searchbox").fill("zoe");
  await page.getByText("No client has such a name.").waitFor();
});

test("what is lost or there twice is said", async () => {
  const { page } = await open({ ...account, difference: 2, notClosed: 1, more: true });
  await page.getByText("2 events are missing. 1 half month could not be looked at").waitFor();
  await page.getByText("There are more clients: write how their names begin.").waitFor();
});

test("before anything is accounted for, the page says what does that", async () => {
  const { page } = await open(null);
  await page.getByText("`fanfold billing reconcile` does").waitFor();
  assert.equal(await page.getByRole("table").count(), 0);
});

test("a narrow window scrolls the table, and not the page", async () => {
  const session = await open(account, NARROW);
  await session.page.getByRole("row", { name: "anna" }).waitFor();
  const [inner, all] = await session.page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
  assert.ok(all <= inner, `${all} ${inner}`);
});
