// The bar of a batch: what has become of its records, and what will.

import { h, setAttribute, setText, show } from "./dom.js";
import { count, counted, isFinal, percent } from "./text.js";

const PARTS = [
  ["succeeded", "Succeeded"],
  ["failed", "Failed"],
  ["running", "Running"],
  ["waiting", "Waiting"],
];

/** Records by what they do. Chunks tell which of them run; where those are not counted, what is left waits. */
export function parts({ state, records, chunks }) {
  const { succeeded, failed } = records;
  const whole = Math.max(records.total ?? records.atLeast, succeeded + failed);
  const left = isFinal(state) ? 0 : whole - succeeded - failed;
  const [runs, waits] = [chunks?.running, chunks?.waiting];
  const divided = typeof runs === "number" && typeof waits === "number" && runs + waits > 0;
  const running = divided ? Math.round((left * runs) / (runs + waits)) : 0;
  return { whole, open: records.total === null, divided, succeeded, failed, running, waiting: left - running };
}

export function inWords(part) {
  const of = `${part.open ? "at least " : ""}${counted(part.whole, "record")}`;
  return `${count(part.succeeded)} succeeded and ${count(part.failed)} failed of ${of}`;
}

export function bar() {
  const pieces = PARTS.map(([name]) => [name, h("span", { class: `piece ${name}` })]);
  const element = h("div", { class: "bar", role: "img" }, ...pieces.map(([, piece]) => piece));
  return {
    element,
    update(part) {
      for (const [name, piece] of pieces) {
        const share = part.whole ? (100 * part[name]) / part.whole : 0;
        const width = `${share.toFixed(3)}%`;
        if (piece.style.width !== width) piece.style.width = width;
        show(piece, share > 0);
      }
      setAttribute(element, "aria-label", inWords(part));
    },
  };
}

/** The numbers and words beside the colours. */
export function legend() {
  const rows = PARTS.map(([name, word]) => {
    const [title, number, share] = [h("dt", null), h("dd", { class: "number" }), h("dd", { class: "share" })];
    title.append(h("span", { class: `swatch ${name}`, "aria-hidden": "true" }), h("span", null, word));
    return { name, word: title.lastChild, number, share, element: h("div", null, title, number, share) };
  });
  const element = h("dl", { class: "legend" }, ...rows.map((row) => row.element));
  return {
    element,
    update(part, { state, chunks }) {
      for (const { name, word, number, share, element: row } of rows) {
        const rest = name === "running" || name === "waiting";
        show(row, !rest || (!isFinal(state) && (part.divided || name === "waiting")));
        if (name === "waiting") setText(word, part.divided ? "Waiting" : "Not done");
        setText(number, `${rest && part.divided && part[name] > 0 ? "about " : ""}${count(part[name])}`);
        const of = percent(part[name], part.whole);
        setText(share, rest && part.divided ? `${of}, ${count(chunks[name])} chunks` : of);
      }
    },
  };
}
