// The ways to wait for a report. Each gets the id, what is done with each document, with each request that is sent, and with what
// goes wrong; and returns a function that stops it.

import { address, hasToken, newKey, Problem, reach, refused, send } from "./net.js";

/** How long the server keeps a request at most, and how long its answer is waited for. */
const HELD = 20;
const LONGEST = 35_000;
/** The pause after a problem. */
const PAUSE = 2_000;
/** How often a socket is asked. It tells the end by itself, but nothing before, and is closed if nothing is asked for long. */
const SOCKET = 15_000;
/** How often a link is looked at, and how long: it is valid for 15 minutes. */
const LOOK = 2_000;
const VALID = 600_000;

/** Whether asking again would not help. */
const isEnd = (error) => refused(error) || error.status === 404;

/**
 * Takes one step after another, and none while nobody looks. A step gets what stops it, and returns how long to wait before the
 * next one, in milliseconds; null at the end.
 */
function going(onProblem, step) {
  const leave = new AbortController();
  const { signal } = leave;
  let timer = null;

  async function next() {
    if (document.hidden) return document.addEventListener("visibilitychange", next, { once: true, signal });
    let pause = PAUSE;
    try {
      pause = await step(signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      onProblem(error);
      if (isEnd(error)) return undefined;
    }
    if (pause !== null && !signal.aborted) timer = setTimeout(next, pause);
    return undefined;
  }

  next();
  return () => {
    leave.abort();
    clearTimeout(timer);
  };
}

/** Asks again and again until a document is the last one. */
function asking(id, { onDocument, onRequest, onProblem }, waits) {
  let etag = null;
  return going(onProblem, async (signal) => {
    onRequest();
    const headers = etag ? { "If-None-Match": etag } : {};
    // What there is already is told at once; only then there is something to wait for.
    const held = waits && etag;
    const begun = performance.now();
    const response = await send(address.report(id, held ? { wait: HELD } : {}), { headers, signal, longest: LONGEST });
    onProblem(null);
    const pause = 1000 * Number(response.headers.get("Retry-After") ?? 2);
    if (response.status === 304) {
      // A server that answers sooner than it was asked to cannot keep requests.
      return held && performance.now() - begun > 500 * HELD ? 0 : pause;
    }
    etag = response.headers.get("ETag");
    if (onDocument(await response.json())) return null;
    return waits ? 0 : pause;
  });
}

function events(id, { onDocument, onRequest, onProblem }) {
  const listen = (signal) => new Promise((resolve, reject) => {
    onRequest();
    const source = new EventSource(address.reportEvents(id));
    signal.addEventListener("abort", () => source.close());
    source.addEventListener("view", (event) => {
      onProblem(null);
      if (!onDocument(JSON.parse(event.data))) return;
      source.close();
      resolve(null);
    });
    source.addEventListener("error", () => {
      onRequest();
      // The browser connects again by itself, but not after an answer that is an error, of which it does not tell what it is.
      if (source.readyState === EventSource.CLOSED) send(address.report(id), { signal }).then(() => resolve(PAUSE), reject);
    });
  });
  return going(onProblem, listen);
}

function socket(id, { onDocument, onRequest, onProblem }) {
  const talk = (url, signal) => new Promise((resolve, reject) => {
    const connection = new WebSocket(url);
    let answered = false;
    const ask = () => {
      answered = false;
      onRequest();
      connection.send(JSON.stringify({ subscribe: id }));
    };
    const finish = (settle, value) => {
      clearInterval(timer);
      connection.close();
      settle(value);
    };
    const lose = () => finish(reject, new Problem(0, "The connection ended", ""));
    // Of a network that went away, a socket may not tell for minutes.
    const timer = setInterval(() => (answered ? document.hidden || ask() : lose()), SOCKET);
    signal.addEventListener("abort", lose);
    connection.addEventListener("open", ask);
    connection.addEventListener("close", lose);
    connection.addEventListener("message", ({ data }) => {
      answered = true;
      const message = JSON.parse(data);
      if (message.problem) {
        const { status, title, detail } = message.problem;
        return finish(reject, new Problem(status, title, detail));
      }
      // A gateway tells of a function that failed in words of its own.
      if (!message.state) return lose();
      onProblem(null);
      return onDocument(message) && finish(resolve, null);
    });
  });
  return going(onProblem, async (signal) => {
    onRequest();
    const headers = { "Idempotency-Key": newKey() };
    const response = await send(address.sockets, { method: "POST", headers, signal });
    return talk((await response.json()).url, signal);
  });
}

function link(id, { onDocument, onRequest, onProblem }) {
  let [shown, url, since] = [false, null, 0];
  const get = async (path, signal) => {
    onRequest();
    const response = await send(path, { signal });
    onProblem(null);
    return response.json();
  };
  /** Looks at the link, and returns whether the end is there. */
  const look = async (signal) => {
    onRequest();
    const { ok, status } = await reach(url, { signal });
    if (!ok && status !== 403 && status !== 404) throw new Problem(status, `The link answered ${status}`, "");
    onProblem(null);
    return ok;
  };
  return going(onProblem, async (signal) => {
    if (!shown && onDocument(await get(address.report(id), signal))) return null;
    shown = true;
    // The reader's clock may be wrong, but it goes on while the computer sleeps.
    if (!url || Date.now() - since > VALID) {
      ({ url } = await get(address.reportLink(id), signal));
      since = Date.now();
    }
    if (!(await look(signal))) return LOOK;
    if (onDocument(await get(address.report(id), signal))) return null;
    // It is being made again, and has another link.
    url = null;
    return LOOK;
  });
}

/** By name: what it is called, and how it goes. A token cannot be sent with what opens events. */
export const ways = () => ({
  long: ["Long polling", "an answer comes when something changed", (id, on) => asking(id, on, true)],
  again: ["Polling", "as often as the answer says", (id, on) => asking(id, on, false)],
  ...(hasToken() || !globalThis.EventSource ? {} : { events: ["Events", "the server sends them as they come", events] }),
  socket: ["WebSocket", "the server sends the end, and tells how it goes when asked", socket],
  link: ["Link to the end", "a file that is there once the report has ended", link],
});
