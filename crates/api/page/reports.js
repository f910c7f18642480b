// Asks for a report, follows it, and offers its documents.

import { action, problemBox } from "./ask.js";
import { announce, h, setAttribute, setText, show } from "./dom.js";
import { address, download, newKey, post, takeToken } from "./net.js";
import { bytes, count, counted, decoded, isFinal, stateOf, time } from "./text.js";
import { ways } from "./ways.js";

const main = document.getElementById("main");
const FORMS = { pdf: "PDF", csv: "CSV", json: "JSON" };
const OWN = { ACCEPTED: "Accepted", CONSOLIDATING: "Making documents", DELETED: "Deleted" };

const field = (label, control, hint = null) =>
  h("label", { class: "entry" }, h("span", null, label), control, hint && h("span", { class: "quiet" }, hint));

/** Days as the form first has them: those of the month before this one. */
function lastMonth(now = new Date()) {
  const day = (month) => new Date(Date.UTC(now.getFullYear(), now.getMonth() + month, 1)).toISOString().slice(0, 10);
  return [day(-1), day(0)];
}

/** The form; `onAsked` gets the id. */
function form(onAsked) {
  const [from, to] = lastMonth();
  const controls = {
    type: h("input", { value: "usage", required: true, maxlength: "100" }),
    from: h("input", { type: "date", value: from, required: true }),
    to: h("input", { type: "date", value: to, required: true }),
    zone: h("input", { value: Intl.DateTimeFormat().resolvedOptions().timeZone, required: true }),
    assets: h("textarea", { rows: "4", spellcheck: "false" }),
    deadline: h("input", { type: "number", min: "1", max: "604800", inputmode: "numeric" }),
  };
  const problem = problemBox();
  const ask = h("button", { class: "sure" }, "Ask for it");
  // The same until it is changed or was taken, so that a second try is no second report.
  let key = newKey();
  const element = h(
    "form",
    { "aria-label": "Ask for a report", oninput: () => (key = newKey()), onsubmit: (event) => submit(event) },
    field("Type", controls.type),
    field("First day", controls.from),
    field("Day after the last", controls.to),
    field("Time zone", controls.zone),
    field("Assets", controls.assets, "one on each line; none for all that were counted"),
    field("Deadline in seconds", controls.deadline, "what is not there by then is left out; none to wait for all"),
    problem.element,
    h("div", { class: "row" }, ask),
  );

  function order() {
    const text = (name) => controls[name].value.trim();
    const names = controls.assets.value.split("\n").map((name) => name.trim()).filter(Boolean);
    const deadline = text("deadline") ? { deadline: Number(text("deadline")) } : {};
    const [type, from, to, zone] = ["type", "from", "to", "zone"].map(text);
    return { type, from, to, zone, assets: names.length ? names : "all", format: "pdf", ...deadline };
  }

  async function submit(event) {
    event.preventDefault();
    if (ask.hasAttribute("aria-disabled")) return;
    problem.update(null);
    setAttribute(ask, "aria-disabled", true);
    try {
      const { id } = await post(address.reports, order(), key);
      key = newKey();
      onAsked(id);
    } catch (error) {
      problem.update(error);
    }
    setAttribute(ask, "aria-disabled", null);
  }
  return element;
}

/** What was asked for, in a line. */
function told({ type, from, to, zone }) {
  return `${type}, ${from} until before ${to}, ${zone}`;
}

/** A report that is followed. */
function followed(id, way) {
  let [stop, requests, last] = [() => {}, 0, null];
  const [word, line, parts, cost] = [h("span", { class: "state" }), h("p", { class: "quiet" }), h("p"), h("p", { class: "small" })];
  const [asked, asOf] = [time(), time()];
  const title = h("h2", { tabindex: "-1" }, "Report ", h("code", null, id));
  const problem = problemBox();
  const error = h("p", { hidden: true });
  const documents = h("ul", { class: "row", "aria-label": "Documents" });
  const data = h("p", { class: "quiet", hidden: true }, "As of ", asOf.element);
  const cancel = action({
    tone: "danger",
    confirm: "Cancel it",
    busy: "Cancelling…",
    done: "It will end with what is there.",
    run: (key) => post(address.reportAction(id, "cancel"), {}, key),
  });
  const element = h(
    "section",
    { "aria-label": "The report", class: "notice" },
    h("div", { class: "row" }, title, word),
    line,
    h("p", { class: "quiet" }, "Asked for ", asked.element),
    parts,
    error,
    documents,
    data,
    problem.element,
    cost,
    cancel.element,
  );

  function saved(name, size) {
    const run = async (event) => {
      event.preventDefault();
      try {
        problem.update(null);
        await download(address.result(id, name));
      } catch (failed) {
        problem.update(failed);
      }
    };
    return h("li", null, h("button", { type: "button", onclick: run }, `${FORMS[name]}, ${bytes(size)}`));
  }

  function ended(end) {
    const { rows, outputs, partial } = end;
    const others = partial && outputs.length ? "; the others are named in it" : "";
    setText(parts, `${counted(rows, "row")} of ${count(end.parts.succeeded)} of ${counted(end.parts.total, "asset")}${others}`);
    const known = Object.keys(FORMS).map((name) => outputs.find((one) => one.name === name)).filter(Boolean);
    documents.replaceChildren(...known.map((one) => saved(one.name, one.bytes)));
    setText(error, end.error ? `${end.error.code}: ${end.error.message}` : "");
    show(error, Boolean(end.error));
    show(data, Boolean(end.asOf));
    asOf.update(end.asOf);
  }

  /** Shows a document, and returns whether it is the last. */
  function onDocument({ state, requestedAt, order, batch, end }) {
    const { word: name, tone } = OWN[state] ? { word: OWN[state], tone: state === "DELETED" ? "bad" : "busy" } : stateOf(state);
    setText(word, name);
    setAttribute(word, "class", `state ${tone}`);
    setText(line, told(order));
    asked.update(requestedAt);
    const { total, succeeded, failed } = batch?.records ?? {};
    if (end) ended(end);
    else setText(parts, total === undefined || total === null ? "" : `${count(succeeded + failed)} of ${counted(total, "part")} made`);
    const over = Boolean(end) || state === "DELETED";
    cancel.update({ shown: !over && !isFinal(state) && state !== "CONSOLIDATING" && state !== "ACCEPTED", label: "Cancel", text: "End the report with what is there?" });
    if (state !== last) announce(`The report is ${name.toLowerCase()}`);
    last = state;
    return over;
  }

  function onRequest() {
    requests += 1;
    setText(cost, `Waited for with ${counted(requests, "request")}`);
  }

  const begin = (name) => {
    stop();
    requests = 0;
    const [, , wait] = ways()[name] ?? ways().long;
    stop = wait(id, { onDocument, onRequest, onProblem: problem.update });
  };
  begin(way);
  return { element, title, change: begin, leave: () => stop() };
}

/** The switch between the ways to wait. */
function chooser(onChosen) {
  const choices = Object.entries(ways()).map(([name, [label, how]], at) => {
    const input = h("input", { type: "radio", name: "way", value: name, checked: at === 0, onchange: () => onChosen(name) });
    return h("label", { class: "choice" }, input, h("span", null, label), h("span", { class: "small" }, how));
  });
  const element = h("fieldset", null, h("legend", null, "How to wait"), ...choices);
  return { element, chosen: () => element.querySelector(":checked").value };
}

let current;

function open(way, place) {
  if (location.hash === "#main") return main.focus();
  takeToken();
  const first = current === undefined;
  const id = decoded(location.hash.replace(/^#\/?/, ""));
  current?.leave();
  current = id ? followed(id, way) : null;
  place.replaceChildren(...(current ? [current.element] : []));
  // Whoever asks for a report goes on reading from it.
  if (!first) current?.title.focus();
  return undefined;
}

function begin() {
  takeToken();
  const place = h("div");
  const choice = chooser((way) => current?.change(way));
  const asked = form((id) => (location.hash = `#/${id}`));
  const side = h("div", { class: "side" }, choice.element);
  const wide = h("div", { class: "wide" }, place, asked);
  main.append(h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Reports")), h("div", { class: "columns" }, wide, side));
  addEventListener("hashchange", () => open(choice.chosen(), place));
  open(choice.chosen(), place);
}

begin();
