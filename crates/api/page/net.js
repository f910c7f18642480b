// What the page asks the server.

const KEY = "fanfold-token";
const FASTEST = 2_000;
const SLOWEST = 10_000;
/** How long an answer is waited for. */
const LONGEST = 30_000;
/** How long a file may take that the page fetches itself. */
const FILE = 600_000;

let token = null;

/** Takes a token out of the address, where it stands once, and keeps it for this tab. */
export function takeToken() {
  const found = /^#(?:.*&)?token=([^&]*)/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(KEY, decodeURIComponent(found[1]));
    history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  }
  token = sessionStorage.getItem(KEY);
}

export const hasToken = () => token !== null;

/** An answer that is no success, or none at all (0), or what the page itself finds wrong (below 0). */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(title);
    Object.assign(this, { status, detail });
  }

  /** What the reader can do. */
  get advice() {
    const { status } = this;
    if (status < 0) return "";
    if (status === 0) return "Check that the server runs and can be reached, then try again.";
    if (status === 401 || status === 403) {
      return "The credentials or the token do not allow it. Open the page with a link that holds a valid token.";
    }
    if (status === 404) return "Check the name, or go back to the list of batches.";
    if (status === 409) return "The present state does not allow it.";
    if (status === 429 || status >= 500) return "Wait a moment, then try again.";
    return "Correct what is said, then try again.";
  }
}

/** Whether asking again would not help. */
export const refused = (problem) => problem.status === 401 || problem.status === 403;

const path = (...parts) => parts.map(encodeURIComponent).join("/");

export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export const address = {
  batches: (values = {}) => `batches${query(values)}`,
  batch: (pipeline, id) => `${path("batches", id)}${query({ pipeline })}`,
  events: (pipeline, id) => `${path("batches", id, "events")}${query({ pipeline })}`,
  output: (pipeline, id, name) => `${path("batches", id, "outputs", name)}${query({ pipeline })}`,
  failures: (pipeline, id, reason) => `${path("batches", id, "failures")}${query({ pipeline, reason })}`,
  action: (pipeline, id, verb) => `${path("batches", id, verb)}${query({ pipeline })}`,
  pipeline: (name, verb) => path("pipelines", name, verb),
  billing: (client) => `billing${query({ client })}`,
  reports: "reports",
  report: (id, values = {}) => `${path("reports", id)}${query(values)}`,
  reportEvents: (id) => path("reports", id, "events"),
  reportLink: (id) => path("reports", id, "link"),
  reportAction: (id, verb) => path("reports", id, verb),
  result: (id, format) => `${path("reports", id, "result")}${query({ format })}`,
  sockets: "sockets",
};

async function problemOf(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // A proxy in between may answer with a page of its own.
  }
  return new Problem(response.status, body?.title ?? `The server answered ${response.status}`, body?.detail ?? "");
}

/** The answer of any server, whatever it is. The token is not sent: it is for this page's own server alone. */
export async function reach(url, { signal, longest = LONGEST, ...options } = {}) {
  const limit = AbortSignal.timeout(longest);
  options.signal = signal ? AbortSignal.any([signal, limit]) : limit;
  try {
    return await fetch(url, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server did not answer", "");
  }
}

export async function send(url, { headers = {}, ...options } = {}) {
  if (token !== null) headers = { ...headers, Authorization: `Bearer ${token}` };
  const response = await reach(url, { ...options, headers });
  if (response.ok || response.status === 304) return response;
  throw await problemOf(response);
}

export const get = async (url, signal) => (await send(url, { signal })).json();

export const post = async (url, body, key) => {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return (await send(url, { method: "POST", headers, body: JSON.stringify(body) })).json();
};

/** Opens an output in spite of a token, which a link cannot send: the server then tells the signed address. */
export async function download(url) {
  const response = await send(url, { headers: { Accept: "application/json" } });
  location.assign((await response.json()).url);
}

/** The name of a file that a `Content-Disposition` tells. */
export function fileName(disposition) {
  const [, coded] = /filename\*=UTF-8''([^;\s]+)/i.exec(disposition ?? "") ?? [];
  const [, quoted, plain] = /filename=(?:"([^"]*)"|([^;\s]+))/i.exec(disposition ?? "") ?? [];
  try {
    return (coded && decodeURIComponent(coded)) || quoted || plain || "failed";
  } catch {
    return quoted || plain || "failed";
  }
}

/** Saves a file of the server in spite of a token: the page fetches it, under the name that the server tells. */
export async function save(url) {
  const response = await send(url, { longest: FILE });
  const link = document.createElement("a");
  link.download = fileName(response.headers.get("Content-Disposition"));
  try {
    link.href = URL.createObjectURL(await response.blob());
  } catch {
    throw new Problem(0, "The file did not arrive to its end", "");
  }
  link.click();
  // Some browsers read it only after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The pipelines, which an earlier server puts into an object. */
export async function pipelinesOf() {
  const answer = await get("pipelines");
  return answer.pipelines ?? answer;
}

/** A name for one action, by which the server knows it again when it is tried twice. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * Asks again and again: every two seconds, up to every ten while nothing changes, and not while nobody looks.
 * `ask` returns whether something changed, or "end". Returns a function that stops it.
 */
export function poll(ask, fastest = FASTEST) {
  let [timer, pause, stopped, asking] = [null, fastest, false, false];
  const next = async () => {
    timer = null;
    if (stopped || asking || document.hidden) return;
    asking = true;
    const changed = await ask();
    asking = false;
    if (stopped || changed === "end") return stop();
    pause = changed ? fastest : Math.min(SLOWEST, pause * 1.5);
    timer = setTimeout(next, pause);
  };
  const onSight = () => {
    if (document.hidden || timer === null && asking) return;
    clearTimeout(timer);
    next();
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onSight);
  };
  document.addEventListener("visibilitychange", onSight);
  next();
  return stop;
}

/**
 * Follows a batch until it has ended. `onView` gets each document and returns whether it is the last one; `onProblem`
 * gets what went wrong, or null once it goes on. Returns a function that stops it.
 */
export function follow(pipeline, id, onView, onProblem) {
  let [stopped, source, stopPolling, etag, broken, retry] = [false, null, null, null, 0, null];
  const leave = new AbortController();

  const ask = async () => {
    const headers = etag ? { "If-None-Match": etag } : {};
    const response = await send(address.batch(pipeline, id), { headers, signal: leave.signal });
    onProblem(null);
    if (response.status === 304) return false;
    etag = response.headers.get("ETag");
    return onView(await response.json()) ? "end" : true;
  };
  const askSafely = async () => {
    try {
      return await ask();
    } catch (error) {
      if (error.name === "AbortError") return "end";
      onProblem(error);
      return refused(error) ? "end" : false;
    }
  };
  const pollOn = () => {
    source?.close();
    source = null;
    if (!stopped && !stopPolling) stopPolling = poll(askSafely);
  };
  const listen = () => {
    if (stopped) return;
    source = new EventSource(address.events(pipeline, id));
    // What changed before the connection, or while there was none, is in no event.
    source.addEventListener("open", async () => {
      broken = 0;
      if ((await askSafely()) === "end") source?.close();
    });
    source.addEventListener("view", (event) => {
      onProblem(null);
      if (onView(JSON.parse(event.data))) source.close();
    });
    source.addEventListener("error", () => {
      broken += 1;
      if (broken >= 2) return pollOn();
      // The browser connects again by itself, but not after an answer that is an error.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(listen, 500);
    });
  };
  const begin = async () => {
    try {
      const changed = await ask();
      if (changed === "end" || stopped) return;
      if (hasToken() || !globalThis.EventSource) pollOn();
      else listen();
    } catch (error) {
      if (error.name === "AbortError") return;
      onProblem(error);
      if (!refused(error)) pollOn();
    }
  };
  begin();
  return () => {
    stopped = true;
    leave.abort();
    clearTimeout(retry);
    source?.close();
    stopPolling?.();
  };
}
