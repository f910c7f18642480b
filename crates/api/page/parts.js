// The smaller parts of a batch's page: stages, costs, events, outputs, and the document itself.

import { h, keyed, scrolls, setText, show, table } from "./dom.js";
import { outputLink } from "./failures.js";
import { bytes, capital, clock, count, counted, dollars, isFinal, span, time, took, withoutLambda } from "./text.js";

/** What is paid for and counted beside requests, and is none. */
const BESIDE = [
  "dynamodb.IndexEntry",
  "sfn.Transition",
  "sfn.ExpressExecution",
  "lambda.Invocation",
  "lambda.MegabyteMillisecond",
];
/** The most events that are shown, the latest ones. */
const MOST = 50;
const EVENTS = {
  OPENED: "Opened",
  SEALED: "Sealed",
  BURIED: "Buried",
  SWEPT: "Swept",
  REDRIVEN: "Redriven",
  CANCELLED: "Cancelled",
  CLOSED: "Closed",
};

function section(id, title, ...children) {
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

function stage() {
  const fill = h("span", { class: "piece running" });
  const [name, length, messages, requests] = ["th", "td", "td", "td"].map((tag) => h(tag));
  name.scope = "row";
  const [from, to] = [time(), time()];
  const strip = h("td", { class: "strip" }, h("div", { class: "track", "aria-hidden": "true" }, fill));
  [length, messages, requests].forEach((cell) => cell.classList.add("number"));
  const ends = [from, to].map((moment) => h("td", null, moment.element));
  return {
    element: h("tr", null, name, strip, ...ends, length, messages, requests),
    update(one) {
      setText(name, one.name);
      from.update(one.startedAt, one.day);
      to.update(one.endedAt, one.day);
      const [begin, end] = [Date.parse(one.startedAt), Date.parse(one.endedAt ?? one.until)];
      const known = !Number.isNaN(begin) && one.whole > 0;
      show(fill, known);
      if (known) {
        // A stage that is too short to be seen is shown nevertheless.
        const width = Math.min(100, Math.max(0.8, (100 * (end - begin)) / one.whole));
        fill.style.left = `${Math.min(100 - width, Math.max(0, (100 * (begin - one.first)) / one.whole)).toFixed(2)}%`;
        fill.style.width = `${width.toFixed(2)}%`;
        fill.classList.toggle("open", !one.endedAt);
      }
      setText(length, !one.startedAt ? "–" : one.endedAt ? took(one.startedAt, one.endedAt) : "not ended");
      setText(messages, count(one.messages));
      const sent = Object.entries(one.requests).filter(([operation]) => !BESIDE.includes(operation));
      setText(requests, count(sent.reduce((sum, [, many]) => sum + many, 0)));
    },
  };
}

export function stages() {
  const body = h("tbody");
  const rows = keyed(body, (one) => one.name, stage);
  const columns = [["Stage"], ["When", "strip"], ["Start"], ["End"]];
  columns.push(...["Took", "Messages", "Requests"].map((title) => [title, "number"]));
  const content = scrolls("Stages", table("What each stage did, and when", columns, body));
  const element = section("h-stages", "Stages", content);
  return {
    element,
    update(view) {
      show(element, view.stages.length > 0);
      const [first, until] = [Date.parse(view.startedAt), view.finishedAt ?? view.asOf];
      const whole = Math.max(1, Date.parse(until) - first);
      rows(view.stages.map((one) => ({ ...one, day: view.startedAt, first, whole, until })));
    },
  };
}

function service() {
  const [requests, amount] = [h("td", { class: "number" }), h("td", { class: "number" })];
  const name = h("th", { scope: "row" });
  return {
    element: h("tr", null, name, requests, amount),
    update(one) {
      setText(name, one.name);
      setText(requests, typeof one.requests === "number" ? count(one.requests) : "–");
      setText(amount, typeof one.dollars === "number" ? dollars(one.dollars) : "–");
    },
  };
}

export function costs() {
  const facts = h("dl", { class: "facts" });
  const rows = keyed(facts, ([name]) => name, ([name]) => {
    const number = h("dd", { class: "number" });
    const update = ([, amount]) => setText(number, dollars(amount));
    return { element: h("div", null, h("dt", null, name), number), update };
  });
  const body = h("tbody");
  const services = keyed(body, (one) => one.name, service);
  const columns = [["Service"], ["Requests", "number"], ["Cost", "number"]];
  const each = table("Requests and their cost by service", columns, body);
  const note = h("p", { class: "quiet" });
  const element = section("h-costs", "Cost", facts, each, note);
  return {
    element,
    update({ costs: known, state }) {
      show(element, Boolean(known));
      if (!known) return;
      const sums = [
        [isFinal(state) ? "In all" : "So far", known.soFar],
        ["Expected in all", known.estimated],
        ["For a million records", known.perMillion],
      ];
      const told = sums.filter(([, amount]) => typeof amount === "number");
      rows(told);
      services(known.services ?? []);
      const without = withoutLambda(known);
      setText(note, `List prices in US dollars${without && `,${without}`}`);
      show(facts, told.length > 0);
      show(each, Boolean(known.services?.length));
      show(element, !(facts.hidden && each.hidden));
    },
  };
}

export function events() {
  const list = h("ol", { class: "events" });
  const keyOf = (one) => `${one.at} ${one.kind} ${one.text}`;
  const rows = keyed(list, keyOf, (one) => {
    const at = time();
    at.update(one.at);
    const kind = h("strong", null, EVENTS[one.kind] ?? one.kind);
    return { element: h("li", null, at.element, h("span", null, kind, one.text ? ` ${one.text}` : "")) };
  });
  const more = h("p", { class: "quiet" });
  const element = section("h-events", "Events", list, more);
  return {
    element,
    update(view) {
      const all = view.events ?? [];
      show(element, all.length > 0);
      rows(all.toReversed().slice(0, MOST));
      const left = all.length - MOST;
      show(more, left > 0);
      setText(more, `${counted(left, "earlier event is", "earlier events are")} in the status document below.`);
    },
  };
}

export function outputs(pipeline, id, onProblem) {
  const list = h("ul", { class: "outputs" });
  const rows = keyed(list, (one) => one.name, () => {
    const [link, size] = [outputLink(onProblem), h("span", { class: "number" })];
    const update = (one) => {
      link.update(pipeline, id, one);
      setText(size, bytes(one.bytes));
    };
    return { element: h("li", null, link.element, size), update };
  });
  const element = section("h-outputs", "Outputs", list);
  return {
    element,
    update(view) {
      show(element, Boolean(view.outputs?.length));
      rows(view.outputs ?? []);
    },
  };
}

export function raw() {
  const text = h("code");
  const box = h("pre", { tabindex: "0", role: "region", "aria-label": "Status document" }, text);
  const element = h("details", { class: "raw" }, h("summary", null, "Status document (JSON)"), box);
  let last = null;
  const write = () => element.open && last && setText(text, JSON.stringify(last, null, 2));
  element.addEventListener("toggle", write);
  return {
    element,
    update(view) {
      last = view;
      write();
    },
  };
}

/** What a batch that does not get on waits for. */
export function waits() {
  const title = h("h2", { id: "h-waits" });
  const list = h("ul");
  const rows = keyed(list, (text) => text, (text) => ({ element: h("li", null, capital(text)) }));
  const [missing, mended] = [h("p"), h("p")];
  const element = h("section", { class: "notice", "aria-labelledby": "h-waits" }, title, list, missing, mended);
  let last = null;
  function tick(now) {
    const standstill = last?.standstill;
    if (!standstill || now === null) return;
    const stalled = standstill.kind === "STALLED";
    const since = span(now - Date.parse(standstill.since));
    setText(title, stalled ? `Stalled: nothing was done for ${since}` : `Slow: it last advanced ${since} ago`);
  }
  return {
    element,
    tick,
    update(view, now) {
      last = view;
      const { standstill, chunks, mended: mending } = view;
      const shown = !isFinal(view.state) && Boolean(standstill || mending || chunks.missing?.length);
      show(element, shown);
      if (!shown) return;
      element.classList.toggle("bad", standstill?.kind === "STALLED");
      element.classList.toggle("warn", standstill?.kind === "SLOW");
      rows([...new Set(standstill?.reasons ?? [])]);
      show(list, Boolean(standstill?.reasons.length));
      const named = chunks.missing ?? [];
      show(missing, named.length > 0);
      const which = named.length === 1 ? "Chunk that is" : "Chunks that are";
      setText(missing, `${which} not done: ${named.map(count).join(", ")}`);
      show(mended, Boolean(mending));
      if (mending) {
        const times = mending.times === 1 ? "once" : `${count(mending.times)} times`;
        setText(mended, `Sweep has sent them again ${times}, and does so next at ${clock(mending.nextAt)}.`);
      }
      if (!standstill) setText(title, "The last chunks");
      tick(now);
    },
  };
}
