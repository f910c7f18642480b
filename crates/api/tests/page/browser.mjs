// A page in Chromium over the mock of its API.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Mock } from "./server.mjs";

const require = createRequire(`${process.env.PAGE_MODULES}/`);
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 360, height: 740 };

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
let browser = null;
const sessions = [];

export async function launch() {
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

export const close = () => browser.close();

/** What Chromium says when an answer is an error, which the page shows in its own words. */
const EXPECTED = /^Failed to load resource: the server responded with a status of (401|403|404|409|503)/;

export class Session {
  errors = [];

  /** `prepare(mock)` fills the API; `clock` is the reader's time in ms, where that matters. */
  static async open(prepare, { hash = "", clock = null, init = null, ...options } = {}) {
    const session = new Session();
    session.mock = await new Mock().start();
    session.context = await browser.newContext({ viewport: WIDE, timezoneId: "Europe/Berlin", ...options });
    sessions.push(session);
    await prepare(session.mock);
    session.context.setDefaultTimeout(10_000);
    const page = (session.page = await session.context.newPage());
    const note = (text) => EXPECTED.test(text) || session.errors.push(text);
    page.on("console", (message) => message.type() === "error" && note(message.text()));
    page.on("pageerror", (error) => note(String(error)));
    await page.addInitScript(() => {
      const violated = ({ violatedDirective, blockedURI }) => console.error(`CSP: ${violatedDirective} ${blockedURI}`);
      addEventListener("securitypolicyviolation", violated);
      globalThis.updates = [];
      new PerformanceObserver((list) => globalThis.updates.push(...list.getEntries().map(({ duration }) => duration)))
        .observe({ type: "measure" });
    });
    if (clock !== null) await page.addInitScript(readerAt, clock);
    if (init) await page.addInitScript(init);
    await page.goto(`${session.mock.origin}/${hash}`);
    return session;
  }

  /** Opens the page of the batch of a golden document. */
  static async batch(name, options = {}) {
    let document = null;
    const session = await Session.open(async (mock) => {
      document = await mock.show(name);
      await options.prepare?.(mock, document);
    }, { hash: hashOf(name), ...options });
    session.document = document;
    await session.page.locator("h1").waitFor();
    return session;
  }

  /** Has the page ask at once, as it does when it comes into sight. */
  look() {
    return this.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  }

  text(selector = "main") {
    return this.page.locator(selector).innerText();
  }

  /** What axe-core finds, in words. */
  async violations() {
    await this.page.evaluate(AXE);
    const found = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const inWords = (id) => ({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`;
    return found.violations.flatMap(({ id, nodes }) => nodes.map(inWords(id)));
  }

}

/** A page of a server that is no mock: with the console's errors, and what axe-core finds. */
export async function visit(url, options = {}) {
  const session = new Session();
  session.context = await browser.newContext({ viewport: WIDE, timezoneId: "Europe/Berlin", ...options });
  session.context.setDefaultTimeout(30_000);
  const page = (session.page = await session.context.newPage());
  const note = (text) => EXPECTED.test(text) || session.errors.push(text);
  page.on("console", (message) => message.type() === "error" && note(message.text()));
  page.on("pageerror", (error) => note(String(error)));
  await page.goto(url);
  return { page, errors: session.errors, violations: () => session.violations() };
}

/** Ends all sessions, also those of a test that failed. */
export async function endAll() {
  for (const { context, mock } of sessions.splice(0)) {
    await context.close();
    mock.stop();
  }
}

function hashOf(name) {
  const { pipeline, batchId } = JSON.parse(readFileSync(new URL(`golden/${name}.json`, import.meta.url), "utf8"));
  return `#/batches/${pipeline}/${batchId}`;
}

/** Sets the reader's clock, which then goes on. */
function readerAt(now) {
  const [True, begun] = [Date, performance.now()];
  globalThis.Date = class extends True {
    constructor(...given) {
      if (given.length) super(...given);
      else super(now + performance.now() - begun);
    }

    static now() {
      return now + performance.now() - begun;
    }
  };
}
