// Failures by reason, with examples.

import { action, problemBox } from "./ask.js";
import { h, keyed, setAttribute, setText, show } from "./dom.js";
import { address, download, hasToken, save } from "./net.js";
import { bytes, costOf, count, counted, isFinal, percent } from "./text.js";

/** The reasons that are shown at first. */
const FIRST = 8;
/** The id of the group of all reasons that a batch has no place for; they have nothing in common to be redriven by. */
const OTHER = "other";

/** A link that downloads. A token cannot go with it, so that the page does `run(address)` instead, once at a time. */
function downloadLink(run, onProblem) {
  const link = h("a", { download: "" });
  link.addEventListener("click", async (event) => {
    if (!hasToken()) return;
    event.preventDefault();
    if (link.hasAttribute("aria-busy")) return;
    setAttribute(link, "aria-busy", "true");
    try {
      await run(link.href);
      onProblem(null);
    } catch (error) {
      onProblem(error);
    }
    setAttribute(link, "aria-busy", null);
  });
  return link;
}

/** A link to an output, for which the server tells a signed address. */
export function outputLink(onProblem) {
  const link = downloadLink(download, onProblem);
  return {
    element: link,
    update(pipeline, id, output, text) {
      setAttribute(link, "href", address.output(pipeline, id, output.name));
      setText(link, text ?? output.name);
    },
  };
}

/** The place, the field and the words of an example: "line 3: price: the cell is empty". */
export function dissect(message) {
  const [, place, rest] = /^(?:((?:line|row) \d+(?:, column \d+)?): )?(.*)$/s.exec(message);
  const [, field, words] = /^(?:([^\s:"]{1,60}): )?(.*)$/s.exec(rest);
  return { place: place ?? "", field: field ?? "", words };
}

function example({ index, object, message }) {
  const { place, field, words } = dissect(message);
  const of = typeof object === "number" ? ` of object ${count(object)}` : "";
  const alike = place.replace(/\d+/g, (digits) => count(BigInt(digits)));
  const where = [`Record ${count(index)}${of}`, alike].filter(Boolean).join(", ");
  const name = field ? h("code", null, field) : null;
  return h("li", null, h("span", { class: "where" }, where), h("span", null, name, name ? ": " : null, words));
}

/** "these 1,702": the records that a button or a link is about. */
const these = (many) => (many === 1 ? "this one" : `these ${count(many)}`);

function group(pipeline, id, redrive, reasonId) {
  const [number, share] = [h("span", { class: "number" }), h("span", { class: "share" })];
  const fill = h("span", { class: "piece failed" });
  const reason = h("h3", { id: `h-reason-${reasonId}` });
  const examples = h("ul", { class: "examples" });
  let shownExamples = "";
  const measure = h("div", { class: "bar small", "aria-hidden": "true" }, fill);
  const again = action({
    tone: "plain",
    confirm: "Confirm: redrive",
    busy: "Redriving…",
    done: "The redrive has been asked for.",
    about: reason.id,
    run: (key) => redrive(key, { reason: reasonId }),
  });
  const problem = problemBox();
  const link = downloadLink(save, problem.update);
  setAttribute(link, "aria-describedby", reason.id);
  setAttribute(link, "href", address.failures(pipeline, id, reasonId));
  const tools = h("div", { class: "row tools" }, again.element, link);
  const words = h("div", { class: "reason" }, reason, examples, tools, problem.element);
  const amount = h("div", { class: "share-of" }, number, share, measure);
  const element = h("li", { class: "group", tabindex: "-1" }, amount, words);
  return {
    element,
    update({ reason: text, count: many, share: part, examples: some, view }) {
      setText(reason, text);
      const records = counted(many, "record");
      again.update({
        // A redrive without a reason would be one of all.
        shown: canRedrive(view) && Boolean(reasonId) && reasonId !== OTHER,
        label: `Redrive ${these(many)}`,
        text: `This processes ${records} again, of this reason alone. It costs ${costOf(many, view.costs)}.`,
      });
      show(link, Boolean(reasonId) && isFinal(view.state));
      setText(link, `Download ${these(many)}`);
      setText(number, count(many));
      setText(share, `${percent(part, 1)} of failures`);
      const width = `${(100 * part).toFixed(2)}%`;
      if (fill.style.width !== width) fill.style.width = width;
      const told = JSON.stringify(some);
      if (told !== shownExamples) {
        shownExamples = told;
        examples.replaceChildren(...some.slice(0, 3).map(example));
      }
    },
  };
}

const hasFailed = ({ state, records }) => isFinal(state) && records.failed > 0;

/** Whether what failed of a batch that has ended can be processed again, which an earlier server does not say. */
export const canRedrive = (view) => hasFailed(view) && view.redrivable !== false;

/** Whether it cannot. */
export const isDenied = (view) => hasFailed(view) && view.redrivable === false;

export function failures(pipeline, id, redrive, onProblem) {
  const list = h("ol", { class: "groups" });
  const rows = keyed(list, (one) => one.id, (one) => group(pipeline, id, redrive, one.id));
  const later = h("p", { class: "quiet" }, "Failed records can be redriven and downloaded once the batch has ended.");
  const link = outputLink(onProblem);
  const file = h("p", { class: "quiet" }, "All failed records: ", link.element);
  const heading = h("h2", { id: "h-failures" }, "Failures by reason");
  const more = h("button", { type: "button", onclick: showAll });
  const element = h("section", { "aria-labelledby": "h-failures" }, heading, later, list, more, file);
  let [most, last] = [FIRST, null];
  function showAll() {
    most = Infinity;
    update(last);
    list.children[FIRST].focus();
  }
  function update(view) {
    last = view;
    show(element, view.failures.length > 0);
    show(later, !isFinal(view.state));
    const focused = list.contains(document.activeElement);
    rows(view.failures.slice(0, most).map((one) => ({ ...one, view })));
    // A reason that the next generation does not have goes away with the focus.
    if (focused && document.activeElement === document.body) document.querySelector("h1").focus();
    show(more, view.failures.length > most);
    setText(more, `Show all ${count(view.failures.length)} reasons`);
    const failed = view.outputs?.find(({ name }) => /^failed\./.test(name));
    show(file, Boolean(failed));
    if (failed) link.update(pipeline, id, failed, `${failed.name} (${bytes(failed.bytes)})`);
  }
  return { element, update };
}
