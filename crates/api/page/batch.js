// The page of a batch.

import { action, problemBox } from "./ask.js";
import { bar, legend, parts } from "./bar.js";
import { charts } from "./chart.js";
import { announce, h, setAttribute, setText, show } from "./dom.js";
import { canRedrive, failures, isDenied } from "./failures.js";
import { address, follow, post, Problem } from "./net.js";
import { costs, events, outputs, raw, stages, waits } from "./parts.js";
import { held } from "./pause.js";
import { bytes, capital, costOf, count, counted, isFinal, percent, rate } from "./text.js";
import { ServerClock, span, stateOf, time, took } from "./text.js";

/** The version of the document that this page reads. */
const VERSION = 1;

const isCancelling = (view) => !isFinal(view.state) && view.error?.code === "CANCELLED";

function head(id, redrive, cancel, pause) {
  const name = h("h1", { tabindex: "-1" }, id);
  const [word, generation] = [h("span", { class: "state" }), h("span", { class: "quiet" })];
  const again = action({
    tone: "plain",
    confirm: "Confirm: redrive",
    busy: "Redriving…",
    done: "The redrive has been asked for.",
    run: (key) => redrive(key, {}),
  });
  const stop = action({
    tone: "danger",
    confirm: "Confirm: cancel the batch",
    busy: "Cancelling…",
    done: "The batch is being cancelled.",
    run: cancel,
  });
  const denied = h("p", { class: "quiet", hidden: true }, "The failed records cannot be redriven.");
  const title = h("div", { class: "title" }, name, h("p", { class: "row" }, word, generation), denied);
  const actions = h("div", { class: "actions" }, again.element, pause, stop.element);
  [again, stop].forEach((one) => one.update({ shown: false, label: "", text: "" }));
  return {
    element: h("div", { class: "head" }, title, actions),
    update(view, part) {
      const state = stateOf(view.state, view.standstill?.kind, isCancelling(view));
      setText(name, view.input.key.split("/").at(-1) || view.batchId);
      setText(word, state.word);
      setAttribute(word, "class", `state ${state.tone}`);
      const times = view.generation === 1 ? "Redriven once" : `Redriven ${count(view.generation)} times`;
      setText(generation, view.generation ? `${times}; the numbers are those of the latest redrive` : "");
      const { failed } = view.records;
      again.update({
        shown: canRedrive(view),
        label: `Redrive ${counted(failed, "failed record")}`,
        text: `This processes ${counted(failed, "record")} again. It costs ${costOf(failed, view.costs)}.`,
      });
      // Where there is an error, it is beside that.
      show(denied, isDenied(view) && !view.error);
      const left = part.running + part.waiting;
      const known = typeof view.costs?.perMillion === "number";
      const saves = known ? `That saves ${costOf(left, view.costs)}` : "What that saves is not known";
      stop.update({
        shown: !isFinal(view.state) && !isCancelling(view),
        label: "Cancel",
        text: `This skips ${part.open ? "at least " : ""}${counted(left, "record")}; what is done is kept. ${saves}.`,
      });
      return state.word;
    },
  };
}

function figure(title) {
  const [main, small, label] = [h("dd", { class: "main" }), h("dd", { class: "small" }), h("dt", null, title)];
  const element = h("div", { class: "figure" }, label, main, small);
  return {
    element,
    set(text, more = "", name = title) {
      setText(label, name);
      setText(main, text);
      setText(small, more);
    },
  };
}

function progress() {
  const [line, words] = [bar(), legend()];
  const [done, elapsed, left, pace] = ["Done", "Elapsed", "Time left", "Records a second"].map(figure);
  const figures = h("dl", { class: "figures" }, ...[done, elapsed, left, pace].map((one) => one.element));
  const heading = h("h2", { id: "h-progress", class: "unseen" }, "Progress");
  const element = h("section", { "aria-labelledby": "h-progress" }, heading, line.element, words.element, figures);
  let last = null;
  function tick(now) {
    if (!last || now === null) return;
    const view = last;
    if (view.finishedAt) elapsed.set(took(view.startedAt, view.finishedAt), "", "Took");
    else elapsed.set(span(now - Date.parse(view.startedAt)), "", "Elapsed");
    if (!view.timeLeft) return left.set("–", "not known yet");
    const since = now - Date.parse(view.asOf);
    const [most, least, likely] = ["most", "least", "seconds"].map((name) => span(view.timeLeft[name] * 1000 - since));
    left.set(likely, least === most ? "" : `${least} to ${most}`);
  }
  return {
    element,
    tick,
    update(view, part, now) {
      last = view;
      line.update(part);
      words.update(part, view);
      const ended = part.succeeded + part.failed;
      const chunks = typeof view.chunks.done === "number" && view.chunks.total
        ? `${count(view.chunks.done)} of ${counted(view.chunks.total, "chunk")}`
        : "";
      const told = [`${count(ended)} of ${count(part.whole)} records`, chunks].filter(Boolean).join(", ");
      if (part.open) done.set(count(ended), `of at least ${count(part.whole)} records`);
      else done.set(percent(ended, part.whole), told);
      show(left.element, !isFinal(view.state));
      const known = view.pace;
      if (!known) pace.set("–", isFinal(view.state) ? "not measured" : "not known yet");
      else if (isFinal(view.state) || known.recent === null) pace.set(rate(known.mean), "mean");
      else pace.set(rate(known.recent), `now; ${rate(known.mean)} in the mean`);
      tick(now);
    },
  };
}

function facts(pipeline) {
  const [started, finished] = [time(), time()];
  const rows = {};
  const list = h("dl", { class: "facts" });
  for (const name of ["Batch", "Pipeline", "Variant", "Processors", "Input", "Started", "Finished"]) {
    const value = h("dd");
    const element = h("div", null, h("dt", null, name), value);
    rows[name] = { element, value };
    list.append(element);
  }
  rows.Started.value.append(started.element);
  rows.Finished.value.append(finished.element);
  const element = h("section", { "aria-labelledby": "h-facts" }, h("h2", { id: "h-facts" }, "About"), list);
  return {
    element,
    update(view) {
      setText(rows.Batch.value, view.batchId);
      setText(rows.Pipeline.value, view.pipeline ?? pipeline);
      setText(rows.Variant.value, view.variant);
      show(rows.Processors.element, Boolean(view.processors?.length));
      setText(rows.Processors.value, (view.processors ?? []).join(", "));
      const { bucket, key, bytes: size, format } = view.input;
      setText(rows.Input.value, `s3://${bucket}/${key} (${[format, bytes(size)].filter(Boolean).join(", ")})`);
      started.update(view.startedAt);
      show(rows.Finished.element, Boolean(view.finishedAt));
      finished.update(view.finishedAt);
    },
  };
}

function fault() {
  const [code, message, cure] = [h("code"), h("p"), h("p")];
  const denied = h("p", null, "For this reason, the failed records cannot be redriven.");
  const element = h("section", { class: "notice", "aria-labelledby": "h-fault" });
  element.append(h("h2", { id: "h-fault" }, "Error ", code), message, denied, cure);
  return {
    element,
    update(view) {
      const { error, state } = view;
      show(element, Boolean(error));
      show(denied, isDenied(view));
      element.classList.toggle("bad", state === "FAILED");
      setText(code, error?.code ?? "");
      setText(message, capital(error?.message ?? ""));
      show(cure, Boolean(error?.cure));
      setText(cure, capital(error?.cure ?? ""));
    },
  };
}

export function batchPage(main, { pipeline, id }) {
  const clock = new ServerClock();
  const missing = problemBox();
  const downloads = problemBox();
  const hint = h("p", { class: "quiet" }, "The page asks for the batch…");
  // A redrive may keep the batch's name: then the end of an earlier generation is not yet the end.
  let [last, word, generation] = [null, null, 0];

  async function redrive(key, body) {
    const { batchId } = await post(address.action(pipeline, id, "redrive"), body, key);
    if (batchId !== id) location.hash = `#/batches/${encodeURIComponent(pipeline)}/${encodeURIComponent(batchId)}`;
    else restart();
  }
  async function cancel(key) {
    await post(address.action(pipeline, id, "cancel"), {}, key);
  }

  const hold = held(pipeline);
  const [title, line, wait, wrong] = [head(id, redrive, cancel, hold.pause), progress(), waits(), fault()];
  const [course, strip] = [charts(), stages()];
  const reasons = failures(pipeline, id, redrive, downloads.update);
  const files = outputs(pipeline, id, downloads.update);
  const [about, money, log, json] = [facts(pipeline), costs(), events(), raw()];
  const wide = h("div", { class: "wide" }, line.element, course.element, strip.element, reasons.element);
  const side = h("div", { class: "side" }, files.element, downloads.element, money.element, log.element, about.element);
  const content = h("div", { class: "batch", hidden: true });
  const columns = h("div", { class: "columns" }, wide, side);
  content.append(hold.element, wait.element, wrong.element, columns, json.element);
  const back = h("p", { class: "back" }, h("a", { href: "#/" }, "All batches"));
  main.replaceChildren(back, title.element, missing.element, hint, content);

  function onView(view) {
    const before = performance.now();
    if (view.version !== VERSION) {
      onProblem(new Problem(-1, "The server is newer than this page", "Load the page again."));
      return true;
    }
    clock.set(view.asOf);
    const [part, now, first] = [parts(view), clock.now(), last === null];
    last = view;
    show(hint, false);
    show(content, true);
    const said = title.update(view, part);
    wait.update(view, now);
    for (const one of [wrong, reasons, about, money, log, files, json, strip, hold]) one.update(view);
    line.update(view, part, now);
    course.update(view, isFinal(view.state));
    const name = view.input.key.split("/").at(-1);
    const share = isFinal(view.state) || part.open ? said : percent(part.succeeded + part.failed, part.whole);
    document.title = `${share} · ${name} · fanfold`;
    if (said !== word) announce(`${name}: ${said}`);
    word = said;
    if (first) main.dispatchEvent(new CustomEvent("ready"));
    // Tools and tests that observe measures see what an update takes.
    performance.measure("fanfold-update", { start: before });
    performance.clearMeasures("fanfold-update");
    const ended = isFinal(view.state) && view.generation >= generation;
    if (ended) hold.stop();
    return ended;
  }
  function onProblem(problem) {
    missing.update(problem);
    if (problem?.status !== 404) return show(hint, last === null && !problem);
    setText(hint, "A batch that was just asked for begins shortly: the page looks for it again every few seconds.");
    return show(hint, true);
  }
  let leave = follow(pipeline, id, onView, onProblem);
  function restart() {
    generation = last.generation + 1;
    leave();
    leave = follow(pipeline, id, onView, onProblem);
    hold.start();
  }
  const ticking = setInterval(() => {
    if (document.hidden || !last || isFinal(last.state)) return;
    line.tick(clock.now());
    wait.tick(clock.now());
  }, 1000);
  return {
    leave() {
      leave();
      hold.stop();
      clearInterval(ticking);
    },
  };
}
