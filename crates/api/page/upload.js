// Uploading a file: dropped anywhere on the page, or chosen with the button.

import { problemBox } from "./ask.js";
import { announce, h, setText, show } from "./dom.js";
import { address, get, newKey, post, Problem } from "./net.js";
import { bytes, percent } from "./text.js";

const LOOK_EVERY = 1_000;
const LOOK_FOR = 120_000;

/** What S3 says is wrong, which is XML. */
function refusal(status, text) {
  const found = new DOMParser().parseFromString(text, "text/xml");
  const [code, message] = ["Code", "Message"].map((name) => found.querySelector(name)?.textContent ?? "");
  return new Problem(status, `The bucket refused the file${code ? ` (${code})` : ""}`, message);
}

/** Sends the file to the bucket; fetch would not tell how far it is. */
function sendFile({ url, fields }, file, onProgress, onRequest) {
  return new Promise((done, fail) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    // S3 ignores what follows the file.
    form.append("file", file);
    const request = new XMLHttpRequest();
    onRequest(request);
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded, total));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) done();
      else fail(refusal(request.status, request.responseText));
    });
    request.addEventListener("error", () => fail(new Problem(0, "The file did not reach the bucket", "")));
    request.addEventListener("abort", () => fail(new Problem(-1, "The upload was stopped", "")));
    request.open("POST", url);
    request.send(form);
  });
}

async function ids(pipeline, key) {
  const { batches } = await get(address.batches({ pipeline, key }));
  return batches.map(({ batchId }) => batchId);
}

export function uploader() {
  let [known, request, closed, current] = [[], null, false, null];
  const problem = problemBox();
  const input = h("input", { type: "file", id: "file", class: "unseen" });
  const choose = h("label", { for: "file", class: "button" }, "Choose a file");
  const pipeline = h("select");
  const which = h("label", { hidden: true }, h("span", null, "Upload to"), pipeline);
  const invitation = h("p", { class: "quiet" }, "or drop one anywhere on this page");
  const meter = h("progress", { max: "1", value: "0", "aria-label": "Upload" });
  const told = h("p");
  const stop = h("button", { type: "button", onclick: () => request?.abort() }, "Stop");
  const busy = h("div", { class: "row busy", hidden: true }, meter, told, stop);
  const again = h("button", { type: "button", hidden: true, onclick: () => send(current) }, "Try again");
  const form = h("div", { class: "row" }, which, input, choose, invitation);
  const element = h("section", { class: "upload", "aria-label": "Upload a file" }, form, busy, problem.element, again);

  input.addEventListener("change", () => input.files[0] && start(input.files[0]));

  const carries = (event) => Array.from(event.dataTransfer?.types ?? []).includes("Files");
  function onDrag(event) {
    if (!carries(event)) return;
    event.preventDefault();
    const left = event.type === "dragleave" && !event.relatedTarget;
    document.body.classList.toggle("dropping", event.type !== "drop" && !left);
    if (event.type !== "drop") return;
    const { files } = event.dataTransfer;
    if (files.length === 1) start(files[0]);
    else problem.update(new Problem(-2, "One file makes one batch", `You dropped ${files.length} files.`));
  }
  const drags = ["dragenter", "dragover", "dragleave", "drop"];
  drags.forEach((name) => addEventListener(name, onDrag));

  function start(file) {
    if (!busy.hidden) return;
    current = { file, key: newKey(), made: null, before: null, sent: false };
    send(current);
  }

  const onProgress = (file) => (sent, whole) => {
    meter.value = whole ? sent / whole : 0;
    setText(told, `Uploading ${file.name}: ${bytes(sent)} of ${bytes(whole)}, ${percent(sent, whole)}`);
  };

  function step(text) {
    setText(told, text);
    announce(text);
  }

  /** Does what is left to be done of an upload: a second try sends nothing that has arrived. */
  async function send(upload) {
    const { file, key } = upload;
    problem.update(null);
    [busy, again].forEach((one) => show(one, one === busy));
    [meter, stop].forEach((one) => show(one, true));
    meter.value = 0;
    try {
      const name = pipeline.value || known[0]?.name;
      if (!name) throw new Problem(404, "There is no pipeline to upload to", "Deploy one, then load this page again.");
      if (!upload.sent) {
        step(`Uploading ${file.name}`);
        upload.made = await post("batches", { pipeline: name, key: file.name, bytes: file.size }, key);
        upload.before = new Set(await ids(upload.made.pipeline, upload.made.key));
        await sendFile(upload.made.upload, file, onProgress(file), (sending) => (request = sending));
        upload.sent = true;
      }
      const { made, before } = upload;
      [meter, stop].forEach((one) => show(one, false));
      const halted = known.some((one) => one.name === made.pipeline && one.paused === true);
      const when = halted ? "once the pipeline, which is paused, is resumed" : "shortly";
      step(`${file.name} is uploaded. Its batch begins ${when}.`);
      const id = await begun(made, before);
      if (id && !closed) location.hash = `#/batches/${encodeURIComponent(made.pipeline)}/${encodeURIComponent(id)}`;
    } catch (error) {
      problem.update(error);
      show(again, true);
    }
    input.value = "";
    show(busy, false);
  }

  /** Waits for the batch of an upload: one that was not there before. */
  async function begun(made, before) {
    const until = performance.now() + LOOK_FOR;
    while (!closed && performance.now() < until) {
      const id = (await ids(made.pipeline, made.key)).find((one) => !before.has(one));
      if (id) return id;
      await new Promise((done) => setTimeout(done, LOOK_EVERY));
    }
    if (closed) return null;
    const detail = "The file is uploaded, and its batch begins once the pipeline works.";
    throw new Problem(504, "No batch has begun in two minutes", detail);
  }

  return {
    element,
    update(pipelines, chosen) {
      known = pipelines;
      const value = pipeline.value || chosen || known[0]?.name;
      pipeline.replaceChildren(...known.map(({ name }) => h("option", { value: name }, name)));
      pipeline.value = value;
      show(which, known.length > 1);
    },
    close() {
      closed = true;
      request?.abort();
      drags.forEach((name) => removeEventListener(name, onDrag));
      document.body.classList.remove("dropping");
    },
  };
}
