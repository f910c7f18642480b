// Numbers, times and states in words.

import { h, setAttribute, setText } from "./dom.js";

const COUNT = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const SHORT = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const CLOCK = new Intl.DateTimeFormat("en-GB", SHORT);
const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", ...SHORT });

export const STATES = {
  SCATTERING: "Scattering",
  PROCESSING: "Processing",
  GATHERING: "Gathering",
  SUCCEEDED: "Succeeded",
  PARTIALLY_FAILED: "Partially failed",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};
const FINAL = new Set(["SUCCEEDED", "PARTIALLY_FAILED", "FAILED", "CANCELLED"]);
const PAUSING = { SLOW: "Slow", STALLED: "Stalled" };

export const isFinal = (state) => FINAL.has(state);

/** The word for what a batch does, and the name of its colour. A batch that has ended is neither slow nor stalled. */
export function stateOf(state, standstill, cancelling) {
  const word = STATES[state] ?? state;
  if (isFinal(state)) return { word, tone: state === "SUCCEEDED" ? "good" : state === "CANCELLED" ? "calm" : "bad" };
  if (cancelling) return { word: "Cancelling", tone: "calm" };
  if (standstill) return { word: PAUSING[standstill] ?? standstill, tone: standstill === "STALLED" ? "bad" : "warn" };
  return { word, tone: "busy" };
}

export const count = (number) => COUNT.format(number);
export const compact = (number) => COMPACT.format(number);
/** A count with its noun. */
export const counted = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`;

/** A share in per cent, which is neither 0 nor 100 while something is done or left. */
export function percent(part, whole) {
  if (!whole) return "0 %";
  const share = (100 * part) / whole;
  if (part > 0 && share < 0.1) return "< 0.1 %";
  if (part < whole && share > 99.9) return "> 99.9 %";
  return share < 10 || share > 99 ? `${Number(share.toFixed(1))} %` : `${Math.round(share)} %`;
}

export function rate(perSecond) {
  return perSecond >= 100 ? count(Math.round(perSecond)) : String(Number(perSecond.toPrecision(2)));
}

export function bytes(size) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; size >= 1000 && unit < units.length - 1; unit += 1) size /= 1000;
  if (unit === 0) return counted(size, "byte");
  return `${size >= 100 ? Math.round(size) : Number(size.toPrecision(2))} ${units[unit]}`;
}

/** US dollars, with as many digits as say something. */
export function dollars(amount) {
  if (amount >= 100) return `$${count(Math.round(amount))}`;
  if (amount >= 1 || amount === 0) return `$${amount.toFixed(2)}`;
  if (amount >= 0.01) return `$${amount.toFixed(3)}`;
  return amount < 0.000001 ? "< $0.000001" : `$${Number(amount.toPrecision(2)).toFixed(6).replace(/0+$/, "")}`;
}

/** What some records cost, in words. */
export function costOf(records, costs) {
  const known = typeof costs?.perMillion === "number";
  if (!known) return "an amount that is not known";
  return `about ${dollars((records * costs.perMillion) / 1e6)}${withoutLambda(costs)}`;
}

/** What to say where functions did not count their time, as earlier ones did not. */
export function withoutLambda(costs) {
  return costs.services?.some((service) => service.name === "Lambda") ? "" : " without Lambda";
}

/** A length of time in its two largest units. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([number]) => number > 0);
  if (first < 0) return "0 s";
  const told = parts.slice(first, first + 2).filter(([number]) => number > 0);
  return told.map(([number, unit]) => `${number} ${unit}`).join(" ");
}

/** How long a finished piece of work took, to the millisecond if it was short. */
export const took = (from, to) => {
  const length = Date.parse(to) - Date.parse(from);
  return length < 1000 ? `${Math.max(0, length)} ms` : span(length);
};

export const clock = (moment) => CLOCK.format(new Date(moment));

/**
 * An element for a moment: in the reader's zone, and in UTC for whoever points at it. `update(moment, day)` leaves out
 * the date if it is that of `day`.
 */
export function time() {
  const element = h("time");
  return {
    element,
    update(moment, day) {
      if (!moment) return setText(element, "–");
      if (element.dateTime === moment) return undefined;
      setAttribute(element, "datetime", moment);
      setAttribute(element, "title", `${moment.slice(0, 19).replace("T", " ")} UTC`);
      const at = new Date(moment);
      const short = day && new Date(day).toDateString() === at.toDateString();
      return setText(element, (short ? CLOCK : MOMENT).format(at));
    },
  };
}

/** A part of an address, which somebody may have written. */
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A phrase as the beginning of a sentence. */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** The server's time, which goes on between its answers. The reader's clock may be wrong, so it is not asked. */
export class ServerClock {
  #at = null;
  #since = 0;

  set(asOf) {
    const at = Date.parse(asOf);
    if (Number.isNaN(at)) return;
    this.#at = at;
    this.#since = performance.now();
  }

  now() {
    return this.#at === null ? null : this.#at + performance.now() - this.#since;
  }
}
