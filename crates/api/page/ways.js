// The ways to wait for a report. Each gets the id, what is done with each document, with each request that is sent, and with what
// goes wrong; and returns a function that stops it.

import { address, hasToken, refused, send } from "./net.js";

/** How long the server keeps a request at most, and how long its answer is waited for. */
const HELD = 20;
const LONGEST = 35_000;
/** The pause after a problem. */
const PAUSE = 2_000;

/** Asks again and again, `pauseAfter` each answer, until a document is the last one. */
function asking(id, { onDocument, onRequest, onProblem }, waits, pauseAfter) {
  const leave = new AbortController();
  let [etag, timer] = [null, null];

  async function ask() {
    onRequest();
    const headers = etag ? { "If-None-Match": etag } : {};
    // What there is already is told at once; only then there is something to wait for.
    const url = address.report(id, waits && etag ? { wait: HELD } : {});
    const response = await send(url, { headers, signal: leave.signal, longest: LONGEST });
    onProblem(null);
    const pause = pauseAfter(response);
    if (response.status === 304) return pause;
    etag = response.headers.get("ETag");
    return onDocument(await response.json()) ? null : pause;
  }

  async function next() {
    let pause = PAUSE;
    try {
      pause = await ask();
    } catch (error) {
      if (error.name === "AbortError") return;
      onProblem(error);
      if (refused(error) || error.status === 404) return;
    }
    if (pause !== null && !leave.signal.aborted) timer = setTimeout(next, pause);
  }

  next();
  return () => {
    leave.abort();
    clearTimeout(timer);
  };
}

function again(id, on) {
  return asking(id, on, false, (response) => 1000 * Number(response.headers.get("Retry-After") ?? 2));
}

function long(id, on) {
  return asking(id, on, true, () => 0);
}

function events(id, { onDocument, onRequest, onProblem }) {
  let [source, timer] = [null, null];
  const listen = () => {
    onRequest();
    source = new EventSource(address.reportEvents(id));
    source.addEventListener("view", (event) => {
      onProblem(null);
      if (onDocument(JSON.parse(event.data))) source.close();
    });
    source.addEventListener("error", () => {
      // The browser connects again by itself, but not after an answer that is an error.
      if (source.readyState !== EventSource.CLOSED) return onRequest();
      onProblem(Object.assign(new Error("The events cannot be had"), { detail: "", advice: "Wait in another way, or go on waiting." }));
      timer = setTimeout(listen, PAUSE);
      return undefined;
    });
  };
  listen();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

/** By name: what it is called, and how it goes. A token cannot be sent with what opens events. */
export const ways = () => ({
  long: ["Long polling", "an answer comes when something changed", long],
  again: ["Polling", "as often as the answer says", again],
  ...(hasToken() || !globalThis.EventSource ? {} : { events: ["Events", "the server sends them as they come", events] }),
});
