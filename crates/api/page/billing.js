// Clients and half months: what was billed when all of it was last accounted for.

import { problemBox } from "./ask.js";
import { announce, h, scrolls, setText, show, table } from "./dom.js";
import { address, get, takeToken } from "./net.js";
import { count, counted, time } from "./text.js";

const main = document.getElementById("main");
const WORDS = {
  READY: ["Ready", "busy"],
  SENDING: ["Sending", "busy"],
  UNKNOWN: ["Unknown", "warn"],
  ACCEPTED: ["Accepted", "busy"],
  PROCESSED: ["Processed", "good"],
  REJECTED: ["Rejected", "bad"],
};
/** How long typing has to pause before the server is asked, in milliseconds. */
const PAUSE = 300;

/** A package: where it stands, and what it charges. */
function chip({ id, state, events, total, currency, invoice, reason }) {
  const [word, tone] = WORDS[state] ?? [state, "busy"];
  const about = [id, counted(events, "event"), invoice && `invoice ${invoice}`, reason].filter(Boolean).join(", ");
  return h(
    "div",
    { title: about },
    h("span", { class: `state ${tone}` }, word),
    ` ${total === undefined ? counted(events, "event") : `${total} ${currency}`}`,
  );
}

/** What is not billed of a half month, in words. */
function rest({ unbilled, conflicts, rejected }) {
  const told = [
    unbilled && `${count(unbilled)} unbilled`,
    conflicts && counted(conflicts, "conflict"),
    rejected && `${count(rejected)} rejected`,
  ];
  return told.filter(Boolean).join(", ");
}

function cell(statement) {
  if (!statement) return h("td", null);
  const left = rest(statement.events);
  return h("td", null, ...statement.packages.map(chip), left ? h("div", { class: "quiet small" }, left) : null);
}

function row(client, halves, statements) {
  const of = new Map(statements.map((statement) => [statement.half, statement]));
  const name = client === "" ? h("i", null, "of no client") : client;
  return h("tr", null, h("th", { scope: "row" }, name), ...halves.map((half) => cell(of.get(half))));
}

/** Whether each event is accounted for, in words. */
function balance({ events, difference, notClosed }) {
  const { came, billed, unbilled, conflicts, rejected } = events;
  const parts = [came, billed, unbilled, conflicts + rejected].map(count);
  const sum = `events in = billed + unbilled + rejected: ${parts[0]} = ${parts.slice(1).join(" + ")}`;
  const lost = difference === 0 ? "" : `. ${counted(Math.abs(difference), "event is", "events are")} ${difference > 0 ? "missing" : "there twice"}`;
  return `${sum}${lost}${notClosed ? `. ${counted(notClosed, "half month")} could not be looked at` : ""}`;
}

function page() {
  const [problem, asOf] = [problemBox(), time()];
  const [line, more] = [h("p", { class: "main" }), h("p", { class: "quiet", hidden: true })];
  const source = h("a", null, "batch");
  const [about, tables] = [h("p", { class: "quiet", hidden: true }, "As of ", asOf.element, ", by this ", source), h("div")];
  const client = h("input", { type: "search", spellcheck: "false", "aria-label": "Clients whose names begin with" });
  let [timer, asked] = [null, 0];

  async function load() {
    const mine = (asked += 1);
    try {
      const account = await get(address.billing(client.value));
      if (mine === asked) fill(account);
      problem.update(null);
    } catch (error) {
      if (mine === asked) problem.update(error);
    }
  }

  function fill(account) {
    const halves = account.halves;
    setText(line, balance(account));
    asOf.update(account.asOf);
    source.href = `./#/batches/${encodeURIComponent(account.pipeline)}/${encodeURIComponent(account.batchId)}`;
    show(about, true);
    const rows = Object.entries(account.clients).map(([name, statements]) => row(name, halves, statements));
    const columns = [["Client", null], ...halves.map((half) => [half, null])];
    tables.replaceChildren(scrolls("Half months of clients", table("Half months of clients", columns, h("tbody", null, ...rows))));
    setText(more, account.more ? "There are more clients: write how their names begin." : "No client has such a name.");
    show(more, account.more || rows.length === 0);
    announce(counted(rows.length, "client"));
  }

  client.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(load, PAUSE);
  });
  main.replaceChildren(
    h("h1", null, "Billing"),
    problem.element,
    line,
    about,
    h("label", { class: "entry" }, h("span", null, "Clients whose names begin with"), client),
    tables,
    more,
  );
  load();
}

takeToken();
page();
