// Failures by reason, with examples.

import { h, keyed, setAttribute, setText, show } from "./dom.js";
import { address, hasToken, download } from "./net.js";
import { bytes, count, isFinal, percent } from "./text.js";

/** The reasons that are shown at first. */
const FIRST = 8;

/** A link to an output. A token cannot go with a link, so that the page asks for the signed address itself. */
export function outputLink(onProblem) {
  const link = h("a", { download: "" });
  link.addEventListener("click", async (event) => {
    if (!hasToken()) return;
    event.preventDefault();
    try {
      await download(link.href);
      onProblem(null);
    } catch (error) {
      onProblem(error);
    }
  });
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
  const where = [`Record ${count(index)}${of}`, place].filter(Boolean).join(", ");
  const name = field ? h("code", null, field) : null;
  return h("li", null, h("span", { class: "where" }, where), h("span", null, name, name ? ": " : null, words));
}

function group() {
  const [number, share] = [h("span", { class: "number" }), h("span", { class: "share" })];
  const fill = h("span", { class: "piece failed" });
  const reason = h("h3");
  const examples = h("ul", { class: "examples" });
  let shownExamples = "";
  const measure = h("div", { class: "bar small", "aria-hidden": "true" }, fill);
  const words = h("div", { class: "reason" }, reason, examples);
  const amount = h("div", { class: "share-of" }, number, share, measure);
  const element = h("li", { class: "group", tabindex: "-1" }, amount, words);
  return {
    element,
    update({ reason: text, count: many, share: part, examples: some }) {
      setText(reason, text);
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

export function failures(pipeline, id, onProblem) {
  const list = h("ol", { class: "groups" });
  const rows = keyed(list, (one) => one.id, group);
  const later = h("p", { class: "quiet" }, "Failed records can be redriven once the batch has ended.");
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
    rows(view.failures.slice(0, most));
    show(more, view.failures.length > most);
    setText(more, `Show all ${count(view.failures.length)} reasons`);
    const failed = view.outputs?.find(({ name }) => /^failed\./.test(name));
    show(file, Boolean(failed));
    if (failed) link.update(pipeline, id, failed, `${failed.name} (${bytes(failed.bytes)})`);
  }
  return { element, update };
}
