// The API of the page over golden documents, and a bucket on another port that takes uploads.
// `node server.mjs golden/stalled.json` serves one of them to look at.

import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import { accept } from "./socket.mjs";

const PAGE = new URL("../../page/", import.meta.url);
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

export async function golden(name) {
  return JSON.parse(await readFile(new URL(`golden/${name}.json`, import.meta.url), "utf8"));
}

const tagOf = (text) => `"${createHash("sha256").update(text).digest("hex").slice(0, 16)}"`;

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}

const listen = (server) => new Promise((done) => {
  server.listen(0, "127.0.0.1", () => done(`http://127.0.0.1:${server.address().port}`));
});

/** How a batch is listed. */
export function rowOf(view) {
  const { batchId, state, generation, startedAt, finishedAt, records, standstill } = view;
  const row = { batchId, state, generation, startedAt, finishedAt, records };
  return { pipeline: view.pipeline ?? "orders", key: view.input.key, ...row, standstill: standstill?.kind ?? null };
}

export class Mock extends EventEmitter {
  pipelines = [{ name: "orders", variant: "chunked", paused: null, concurrency: null }];
  /** Rows of the list besides those of `views`. */
  rows = [];
  asOf = "2026-11-20T09:30:00.000Z";
  /** Documents by the id of their batch. */
  views = new Map();
  /** Documents of reports by their ids. */
  reports = new Map();
  /** How billing stands. */
  account = null;
  /** What came: method, path, query, headers and body. */
  requests = [];
  uploads = [];
  /** Answers instead of the usual ones, by method and path: `{status, title, detail}`. */
  problems = new Map();
  /** Whether events are sent. */
  events = true;
  /** The token without which nothing is answered. */
  token = null;
  /** What is waited for before an action is answered. */
  gate = Promise.resolve();
  /** The batch that a redrive makes. */
  redriven = ({ batchId, generation }) => `${batchId}.r${generation + 1}`;
  /** How many batches a page of the list holds. */
  most = 100;
  /** Whether the pipelines are put into an object, as earlier servers do. */
  wrapped = false;
  /** What becomes of a pipeline that is paused or resumed; it may take a while. */
  turn = (pipeline, paused) => (pipeline.paused = paused);
  /** What the bucket does with an upload. */
  bucket = { status: 204, body: "" };
  /** What came over sockets: the text, and the number of the URL by which it was opened. */
  messages = [];
  /** Whether sockets are answered. */
  answers = true;
  /** The looks at links to the end of a report: the number of the link, and the headers. */
  looks = [];
  /** Whether the bucket answers when a link is looked at. */
  linked = true;
  #streams = new Set();
  #sockets = new Map();
  #urls = new Set();
  #made = 0;

  async start() {
    this.server = createServer((request, response) => this.#answer(request, response));
    this.target = createServer((request, response) => this.#take(request, response));
    this.target.on("upgrade", (request, stream) => this.#connect(request, stream));
    [this.origin, this.upload] = [await listen(this.server), await listen(this.target)];
    return this;
  }

  stop() {
    this.drop();
    for (const server of [this.server, this.target]) {
      server.close();
      server.closeAllConnections();
    }
  }

  /** Puts a document in the place of the one before, and tells those who listen. */
  put(view, id = view.batchId) {
    this.views.set(id, view);
    this.asOf = view.asOf;
    for (const stream of this.#streams) if (stream.id === id) this.#tell(stream, view);
    return this;
  }

  /** Puts a document of a report in the place of the one before, and tells those who wait; over a socket, the end alone, twice. */
  report(document) {
    this.reports.set(document.id, document);
    const told = document.end ? [...this.#sockets].filter(([, id]) => id === document.id) : [];
    for (const [socket] of [...told, ...told]) socket.send(JSON.stringify(document));
    for (const stream of this.#streams) if (stream.id === document.id) this.#tell(stream, document);
    this.emit("report");
    return this;
  }

  get streams() {
    return this.#streams.size;
  }

  get sockets() {
    return this.#sockets.size;
  }

  /** Breaks all connections over which documents are sent. */
  drop() {
    for (const [socket] of this.#sockets) socket.drop();
    for (const { response } of this.#streams) response.destroy();
  }

  asked(method, path) {
    return this.requests.filter((one) => one.method === method && one.path === path);
  }

  /** Resolves once something holds; it is tried after each request. */
  async until(holds) {
    while (!holds()) await new Promise((done) => this.once("request", done));
  }

  #tell(stream, view) {
    stream.response.write(`event: view\ndata: ${JSON.stringify(view)}\n\n`);
    if (view.finishedAt || view.end) stream.response.end();
  }

  #list(query) {
    const all = [...Array.from(this.views.values(), rowOf), ...this.rows];
    const matches = (names) => (row) => names.every((name) => !query.get(name) || row[name] === query.get(name));
    const first = Number(query.get("next") ?? 0);
    const page = all.filter(matches(["pipeline"])).slice(first, first + this.most);
    // The list of one pipeline goes on after its last batch, where there is nothing more.
    const alone = query.get("pipeline") || this.pipelines.length === 1;
    const next = alone && page.length ? String(first + page.length) : null;
    return { version: 1, asOf: this.asOf, batches: page.filter(matches(["state", "key"])), next };
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.origin);
    const path = decodeURIComponent(url.pathname);
    const body = await bodyOf(request);
    const { method, headers } = request;
    this.requests.push({ method, path, query: url.searchParams, headers, body: body ? JSON.parse(body) : null });
    response.on("close", () => this.emit("request"));
    response.setHeader("Content-Security-Policy", `default-src 'self'; connect-src 'self' ${this.upload} ${this.#socketOrigin}`);
    const json = (status, value, more = {}) => {
      response.writeHead(status, { "Content-Type": "application/json", ...more }).end(JSON.stringify(value));
    };
    const problem = ({ status, title, detail }) => {
      json(status, { type: "about:blank", title, status, detail }, { "Content-Type": "application/problem+json" });
    };
    const [, first, id, verb, name] = path.split("/");
    if (!["batches", "billing", "pipelines", "reports", "sockets"].includes(first)) return this.#file(path, response);
    if (this.token && headers.authorization !== `Bearer ${this.token}`) {
      return problem({ status: 401, title: "Unauthorized", detail: "The request has no valid token." });
    }
    const wrong = this.problems.get(`${method} ${path}`);
    if (wrong) return problem(wrong);
    if (first === "sockets") return json(201, this.#signed(`${this.#socketOrigin}/sockets`));
    if (first === "billing") return this.#billing(url.searchParams.get("client") ?? "", json, problem);
    if (first === "reports") return this.#reports(request, { url, id, verb, body, json, problem }, response);
    if (first === "pipelines" && method === "POST") {
      await this.gate;
      const [pipeline, paused] = [this.pipelines.find((one) => one.name === id), verb === "pause"];
      this.turn(pipeline, paused);
      return json(202, { name: id, paused });
    }
    if (first === "pipelines") return json(200, this.wrapped ? { pipelines: this.pipelines } : this.pipelines);
    if (method === "POST" && !id) return json(201, this.#invite(JSON.parse(body)));
    if (!id) return json(200, this.#list(url.searchParams));
    const view = this.views.get(id);
    if (!view) return problem({ status: 404, title: "Not found", detail: `There is no batch ${id}.` });
    if (verb === "events") return this.#stream(id, response);
    if (verb === "outputs") return this.#output(name, headers, response, json);
    if (verb === "failures") return this.#failed(view, url.searchParams.get("reason"), response);
    if (method === "POST") {
      await this.gate;
      return json(202, { batchId: verb === "redrive" ? this.redriven(view) : id });
    }
    const text = JSON.stringify(view);
    response.on("finish", () => this.emit("asked"));
    if (headers["if-none-match"] === tagOf(text)) return response.writeHead(304, { ETag: tagOf(text) }).end();
    return json(200, view, { ETag: tagOf(text) });
  }

  #billing(client, json, problem) {
    const detail = 'pipeline "billing" has not accounted for its events yet: `fanfold billing reconcile` does';
    if (!this.account) return problem({ status: 404, title: "Not found", detail });
    const clients = Object.entries(this.account.clients).filter(([name]) => name.startsWith(client));
    return json(200, { ...this.account, clients: Object.fromEntries(clients) });
  }

  async #reports({ method, headers }, { url, id, verb, body, json, problem }, response) {
    if (method === "POST" && !id) {
      const [made, order] = ["0123456789abcdef0123456789abcdef", JSON.parse(body)];
      delete order.assets;
      const accepted = { id: made, state: "ACCEPTED", requestedAt: this.asOf, order, batch: null, end: null };
      this.reports.set(made, accepted);
      return json(202, { id: made, state: "ACCEPTED" });
    }
    if (!this.reports.has(id)) return problem({ status: 404, title: "Not found", detail: "There is no report with this id." });
    if (verb === "events") {
      this.#stream(id, response);
      return [...this.#streams].filter((stream) => stream.id === id).forEach((stream) => this.#tell(stream, this.reports.get(id)));
    }
    if (verb === "link") return json(200, this.#signed(`${this.upload}/ends/${id}`));
    if (verb === "result") return json(200, { url: `${this.upload}/signed/report.${url.searchParams.get("format")}` });
    if (method === "POST") return json(202, { batchId: "b" });
    const tag = () => tagOf(JSON.stringify(this.reports.get(id)));
    // Whoever knows how it is waits until it is otherwise.
    if (url.searchParams.get("wait") && headers["if-none-match"] === tag()) {
      await new Promise((done) => this.once("report", done));
    }
    return json(200, this.reports.get(id), { ETag: tag(), "Retry-After": "1" });
  }

  async #file(path, response) {
    const name = path === "/" ? "index.html" : path.slice(1);
    try {
      const content = await readFile(new URL(name, PAGE));
      response.writeHead(200, { "Content-Type": KINDS[extname(name)] }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  }

  #stream(id, response) {
    if (!this.events) return response.writeHead(503).end();
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    response.write("retry: 200\n\n");
    const stream = { id, response };
    this.#streams.add(stream);
    response.on("close", () => this.#streams.delete(stream));
    return this.emit("request");
  }

  get #socketOrigin() {
    return this.upload.replace("http", "ws");
  }

  /** A URL that carries what it allows: it has a number of its own. */
  #signed(url) {
    this.#made += 1;
    this.#urls.add(`${this.#made}`);
    return { url: `${url}?signature=${this.#made}`, expiresAt: this.asOf };
  }

  #connect(request, stream) {
    const number = new URL(request.url, this.upload).searchParams.get("signature");
    // It can be used once.
    if (!this.#urls.delete(number)) return stream.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    const socket = accept(request, stream, (text) => {
      this.messages.push({ number, text });
      const { subscribe } = JSON.parse(text);
      this.#sockets.set(socket, subscribe);
      const missing = { status: 404, title: "Not found", detail: "There is no report with this id." };
      if (this.answers) socket.send(JSON.stringify(this.reports.get(subscribe) ?? { problem: missing }));
      this.emit("request");
    });
    this.#sockets.set(socket, null);
    return stream.on("close", () => {
      this.#sockets.delete(socket);
      this.emit("request");
    });
  }

  /** The end of a report, by its link. */
  #look({ url, headers }, response) {
    const { pathname, searchParams } = new URL(url, this.upload);
    this.looks.push({ number: searchParams.get("signature"), headers });
    response.on("close", () => this.emit("request"));
    if (!this.linked) return response.destroy();
    const { end } = this.reports.get(pathname.split("/").pop());
    return response.writeHead(end ? 200 : 404).end(JSON.stringify(end));
  }

  #output(name, headers, response, json) {
    const url = `${this.upload}/signed/${name}`;
    if (headers.accept === "application/json") return json(200, { url });
    return response.writeHead(302, { Location: url }).end();
  }

  #failed({ failures }, reason, response) {
    const { examples } = failures.find(({ id }) => id === reason);
    const headers = { "Content-Type": "text/csv", "Content-Disposition": `attachment; filename="failed-${reason}.csv"` };
    response.writeHead(200, headers).end(examples.map(({ message }) => `${message}\n`).join(""));
  }

  #invite({ pipeline, key }) {
    const fields = { key: `in/${key}`, policy: "eyJleHBpcmF0aW9uIjoi", "x-amz-signature": "0123abcd" };
    const upload = { url: `${this.upload}/bucket`, fields };
    return { pipeline, key: fields.key, upload, expiresAt: "2026-11-20T10:30:00.000Z" };
  }

  async #take(request, response) {
    const body = await bodyOf(request);
    response.setHeader("Access-Control-Allow-Origin", this.origin);
    if (request.url.startsWith("/ends/")) return this.#look(request, response);
    if (request.method === "POST") this.uploads.push({ path: request.url, body });
    const { status, body: answer } = request.method === "POST" ? this.bucket : { status: 200, body: "content" };
    if (request.method === "GET") response.setHeader("Content-Disposition", "attachment");
    response.on("close", () => this.emit("request"));
    response.writeHead(status).end(answer);
    if (request.method === "POST" && status < 300) this.emit("upload");
    return undefined;
  }

  /** Fills the API with a golden document: that of a batch, or a list. */
  async show(name) {
    const document = await golden(name);
    if (document.batches) {
      Object.assign(this, { pipelines: document.pipelines, rows: document.batches, asOf: document.asOf });
      return document;
    }
    this.pipelines = [{ name: document.pipeline, variant: document.variant, paused: null, concurrency: null }];
    this.put(document);
    return document;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const mock = await new Mock().start();
  await mock.show(process.argv[2].replace(/^.*\/|\.json$/g, ""));
  console.log(mock.origin);
}
