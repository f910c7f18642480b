// The bar of a batch: what has become of its records, and what will.

import { h, setAttribute, setText, show } from "./dom.js";
import { count, counted, isFinal, percent } from "./text.js";

const PARTS = [
  ["succeeded", "Succeeded"],
  ["failed", "Failed"],
  ["running", "Running"],
  ["waiting", "Waiting"],
];

const isDivided = (counts) => typeof counts?.running === "number" && typeof counts.waiting === "number";

/**
 * Records by what they do. If the server does not say about how many run, the chunks tell; where those are not counted
 * either, what is left waits.
 */
export function parts({ state, records, chunks }) {
  const { total, succeeded, failed } = records;
  const [ended, told] = [succeeded + failed, isDivided(records)];
  const known = total ?? Math.max(records.atLeast, told ? ended + records.running + records.waiting : 0);
  const whole = Math.max(known, ended);
  const left = isFinal(state) ? 0 : whole - ended;
  const divided = told || (isDivided(chunks) && chunks.running + chunks.waiting > 0);
  // Counts are not all of the same moment, but a record has one place in the bar.
  let running = 0;
  if (told) running = Math.min(left, records.running);
  else if (divided) running = Math.round((left * chunks.running) / (chunks.running + chunks.waiting));
  return { whole, open: total === null, divided, succeeded, failed, running, waiting: left - running };
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
    const chunks = h("dd", { class: "share chunks" });
    title.append(h("span", { class: `swatch ${name}`, "aria-hidden": "true" }), h("span", null, word));
    const element = h("div", null, title, number, share, chunks);
    return { name, word: title.lastChild, number, share, chunks, element };
  });
  const element = h("dl", { class: "legend" }, ...rows.map((row) => row.element));
  return {
    element,
    update(part, { state, chunks }) {
      for (const { name, word, number, share, chunks: among, element: row } of rows) {
        const rest = name === "running" || name === "waiting";
        show(row, !rest || (!isFinal(state) && (part.divided || name === "waiting")));
        if (name === "waiting") setText(word, part.divided ? "Waiting" : "Not done");
        const about = rest && part.divided && part[name] > 0;
        setText(number, `${about ? "about " : ""}${count(part[name])}`);
        setText(share, percent(part[name], part.whole));
        const told = rest && part.divided && typeof chunks[name] === "number";
        show(among, told);
        if (told) setText(among, counted(chunks[name], "chunk"));
      }
    },
  };
}
