// The ways to wait for a report. Each gets the id, what is done with each document, with each request that is sent, and with what
// goes wrong; and returns a function that stops it.

import { address, hasToken, refused, send } from "./net.js";

/** How long the server keeps a request at most, and how long its answer is waited for. */
const HELD = 20;
const LONGEST = 35_000;
/** The pause after a problem. */
const PAUSE = 2_000;

/** Asks again and again until a document is the last one, and not while nobody looks. */
function asking(id, { onDocument, onRequest, onProblem }, waits) {
  const leave = new AbortController();
  let [etag, timer] = [null, null];

  /** How long to wait before asking again, in milliseconds; null at the end. */
  async function ask() {
    onRequest();
    const headers = etag ? { "If-None-Match": etag } : {};
    // What there is already is told at once; only then there is something to wait for.
    const held = waits && etag;
    const begun = performance.now();
    const response = await send(address.report(id, held ? { wait: HELD } : {}), { headers, signal: leave.signal, longest: LONGEST });
    onProblem(null);
    const pause = 1000 * Number(response.headers.get("Retry-After") ?? 2);
    if (response.status === 304) {
      // A server that answers sooner than it was asked to cannot keep requests.
      return held && performance.now() - begun > 500 * HELD ? 0 : pause;
    }
    etag = response.headers.get("ETag");
    if (onDocument(await response.json())) return null;
    return waits ? 0 : pause;
  }

  async function next() {
    if (document.hidden) return document.addEventListener("visibilitychange", next, { once: true, signal: leave.signal });
    let pause = PAUSE;
    try {
      pause = await ask();
    } catch (error) {
      if (error.name === "AbortError") return undefined;
      onProblem(error);
      if (isEnd(error)) return undefined;
    }
    if (pause !== null && !leave.signal.aborted) timer = setTimeout(next, pause);
    return undefined;
  }

  next();
  return () => {
    leave.abort();
    clearTimeout(timer);
  };
}

/** Whether asking again would not help. */
const isEnd = (error) => refused(error) || error.status === 404;

function events(id, { onDocument, onRequest, onProblem }) {
  const leave = new AbortController();
  let [source, timer] = [null, null];
  const listen = () => {
    onRequest();
    source = new EventSource(address.reportEvents(id));
    source.addEventListener("view", (event) => {
      onProblem(null);
      if (onDocument(JSON.parse(event.data))) source.close();
    });
    source.addEventListener("error", async () => {
      // The browser connects again by itself, but not after an answer that is an error, of which it does not tell what it is.
      if (source.readyState !== EventSource.CLOSED) return onRequest();
      try {
        onRequest();
        await send(address.report(id), { signal: leave.signal });
      } catch (error) {
        if (error.name === "AbortError") return undefined;
        onProblem(error);
        if (isEnd(error)) return undefined;
      }
      timer = setTimeout(listen, PAUSE);
      return undefined;
    });
  };
  listen();
  return () => {
    leave.abort();
    clearTimeout(timer);
    source.close();
  };
}

/** By name: what it is called, and how it goes. A token cannot be sent with what opens events. */
export const ways = () => ({
  long: ["Long polling", "an answer comes when something changed", (id, on) => asking(id, on, true)],
  again: ["Polling", "as often as the answer says", (id, on) => asking(id, on, false)],
  ...(hasToken() || !globalThis.EventSource ? {} : { events: ["Events", "the server sends them as they come", events] }),
});
