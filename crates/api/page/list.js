// The list of batches.

import { problemBox } from "./ask.js";
import { bar, inWords, parts } from "./bar.js";
import { h, keyed, setAttribute, setText, show } from "./dom.js";
import { address, get, poll, refused } from "./net.js";
import { count, isFinal, percent, ServerClock, span, stateOf, STATES, time } from "./text.js";
import { uploader } from "./upload.js";

const EVERY = 3_000;

export const addressOf = ({ pipeline, batchId }) =>
  `#/batches/${encodeURIComponent(pipeline)}/${encodeURIComponent(batchId)}`;

/** Stalled batches come first, then slow ones, then those that run, each by their start. */
function rank({ state, standstill }) {
  if (isFinal(state)) return 3;
  return standstill === "STALLED" ? 0 : standstill === "SLOW" ? 1 : 2;
}
const order = (one, other) => rank(one) - rank(other) || Date.parse(other.startedAt) - Date.parse(one.startedAt);

function row(clock) {
  const [link, pipeline, word] = [h("a"), h("span", { class: "quiet" }), h("span", { class: "state" })];
  const [line, share, numbers] = [bar(), h("span", { class: "share" }), h("span", { class: "quiet" })];
  const [started, age] = [time(), h("span", { class: "quiet" })];
  line.element.classList.add("small");
  const cells = [
    h("td", { class: "what" }, link, pipeline),
    h("td", null, word),
    h("td", { class: "how" }, h("div", { class: "row" }, line.element, share), numbers),
    h("td", { class: "when" }, started.element, age),
  ];
  return {
    element: h("tr", null, ...cells),
    update(batch) {
      const [part, state] = [parts(batch), stateOf(batch.state, batch.standstill)];
      setText(link, batch.key.split("/").at(-1) || batch.batchId);
      setAttribute(link, "href", addressOf(batch));
      const times = batch.generation ? `, redrive ${count(batch.generation)}` : "";
      setText(pipeline, `${batch.pipeline}${times}`);
      setText(word, state.word);
      setAttribute(word, "class", `state ${state.tone}`);
      line.update(part);
      setText(share, part.open ? "" : percent(part.succeeded + part.failed, part.whole));
      setText(numbers, inWords(part));
      started.update(batch.startedAt);
      const [from, now] = [Date.parse(batch.startedAt), clock.now()];
      setText(age, batch.finishedAt ? `took ${span(Date.parse(batch.finishedAt) - from)}` : `for ${span(now - from)}`);
    },
  };
}

function select(label, onchange) {
  const element = h("select", { onchange });
  return { element: h("label", null, h("span", null, label), element), input: element };
}

function fill(input, options, chosen) {
  const known = Array.from(input.options, ({ value }) => value).join("\n");
  if (known !== options.map(([value]) => value).join("\n")) {
    input.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
  }
  if (document.activeElement !== input || input.value === "") input.value = chosen;
}

export function listPage(main, filter) {
  const clock = new ServerClock();
  const problem = problemBox();
  const body = h("tbody");
  const rows = keyed(body, (one) => `${one.pipeline}/${one.batchId}`, () => row(clock));
  const titles = ["Batch", "State", "Records", "Started"].map((title) => h("th", { scope: "col" }, title));
  const caption = h("caption", { class: "unseen" }, "Batches, stalled ones first");
  const batches = h("table", { class: "batches" }, caption, h("thead", null, h("tr", null, ...titles)), body);
  const go = () => {
    const given = Object.entries({ pipeline: byPipeline.input.value, state: byState.input.value }).filter(([, value]) => value);
    location.hash = `#/${given.length ? `?${new URLSearchParams(given)}` : ""}`;
  };
  const [byPipeline, byState] = [select("Pipeline", go), select("State", go)];
  byState.input.append(h("option", { value: "" }, "All"), ...Object.entries(STATES).map(([value, word]) => h("option", { value }, word)));
  byState.input.value = filter.state ?? "";
  const halted = h("p", { class: "notice warn", hidden: true });
  const more = h("button", { type: "button", hidden: true, onclick: () => longer() }, "Show more");
  const none = h("div", { class: "none", hidden: true });
  const nothing = h("div", { class: "none", hidden: true }, h("h2", null, "No batches yet"));
  nothing.append(h("p", null, "Drop a file anywhere on this page, choose one above, or run ", h("code", null, "fanfold submit FILE"), "."));
  none.append(h("h2", null, "No batch matches"), h("p", null, h("a", { href: "#/" }, "Show all batches")));
  const filters = h("div", { class: "filters" }, byPipeline.element, byState.element);
  const upload = uploader();
  const heading = h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Batches"), filters);
  main.replaceChildren(heading, upload.element, halted, problem.element, nothing, none, batches, more);
  document.title = "Batches · fanfold";

  let [pages, shown, names, ready] = [1, "", "", false];
  function pipelines(known) {
    const told = JSON.stringify(known);
    if (told === names) return;
    names = told;
    fill(byPipeline.input, [["", "All"], ...known.map(({ name }) => [name, name])], filter.pipeline ?? "");
    show(byPipeline.element, known.length > 1 || Boolean(filter.pipeline));
    upload.update(known, filter.pipeline);
    const stopped = known.filter(({ paused }) => paused === true).map(({ name }) => name);
    show(halted, stopped.length > 0);
    const which = stopped.length === 1 ? `The pipeline ${stopped[0]} is` : `The pipelines ${stopped.join(", ")} are`;
    setText(halted, `${which} paused. Batches go on once it is resumed.`.replace(/are paused\. (.*) it is/, "are paused. $1 they are"));
  }
  async function read() {
    const [all, known] = [[], get("pipelines")];
    let next = null;
    for (let page = 0; page < pages; page += 1) {
      const answer = await get(address.batches({ ...filter, next }));
      clock.set(answer.asOf);
      all.push(...answer.batches);
      next = answer.next;
      if (!next) break;
    }
    pipelines((await known).pipelines);
    problem.update(null);
    rows(all.sort(order));
    show(batches, all.length > 0);
    show(nothing, all.length === 0 && !filter.pipeline && !filter.state);
    show(none, all.length === 0 && nothing.hidden);
    show(more, Boolean(next));
    if (!ready) main.dispatchEvent(new CustomEvent("ready"));
    ready = true;
    const told = JSON.stringify(all);
    const changed = told !== shown;
    shown = told;
    return changed;
  }
  const stop = poll(async () => {
    try {
      return await read();
    } catch (error) {
      problem.update(error);
      return refused(error) ? "end" : false;
    }
  }, EVERY);
  async function longer() {
    pages += 1;
    await read().catch(problem.update);
  }
  return () => {
    stop();
    upload.close();
  };
}
