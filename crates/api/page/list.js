// The list of batches.

import { problemBox } from "./ask.js";
import { bar, inWords, parts } from "./bar.js";
import { announce, h, keyed, setAttribute, setText, show } from "./dom.js";
import { address, get, pipelinesOf, poll, query, refused } from "./net.js";
import { pausedOnes } from "./pause.js";
import { count, counted, isFinal, percent, ServerClock, span, stateOf, STATES, time, took } from "./text.js";
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
    h("td", { role: "cell", class: "what" }, link, pipeline),
    h("td", { role: "cell" }, word),
    h("td", { role: "cell", class: "how" }, h("div", { class: "row" }, line.element, share), numbers),
    h("td", { role: "cell", class: "when" }, started.element, age),
  ];
  return {
    element: h("tr", { role: "row" }, ...cells),
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
      setText(age, batch.finishedAt ? `took ${took(batch.startedAt, batch.finishedAt)}` : `for ${span(now - from)}`);
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
  // Where it is narrow, the table is laid out as a list; the roles say that it still is a table.
  const body = h("tbody", { role: "rowgroup" });
  const rows = keyed(body, (one) => `${one.pipeline}/${one.batchId}/${one.generation}`, () => row(clock));
  const names = ["Batch", "State", "Records", "Started"];
  const titles = names.map((title) => h("th", { scope: "col", role: "columnheader" }, title));
  const caption = h("caption", { class: "unseen" }, "Batches, stalled ones first");
  const head = h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...titles));
  const batches = h("table", { class: "batches", role: "table" }, caption, head, body);
  const go = () => {
    const chosen = { pipeline: byPipeline.input.value, state: byState.input.value };
    location.hash = `#/${query(chosen)}`;
  };
  const [byPipeline, byState] = [select("Pipeline", go), select("State", go)];
  fill(byState.input, [["", "All"], ...Object.entries(STATES)], filter.state ?? "");
  const halted = pausedOnes(() => ask());
  const more = h("button", { type: "button", hidden: true, onclick: () => longer() }, "Show more");
  const none = h("div", { class: "none", hidden: true });
  const nothing = h("div", { class: "none", hidden: true }, h("h2", null, "No batches yet"));
  const command = h("code", null, "fanfold submit FILE");
  nothing.append(h("p", null, "Drop a file anywhere on this page, choose one above, or run ", command, "."));
  none.append(h("h2", null, "No batch matches"), h("p", null, h("a", { href: "#/" }, "Show all batches")));
  const filters = h("div", { class: "filters" }, byPipeline.element, byState.element);
  const upload = uploader();
  const heading = h("div", { class: "head" }, h("h1", { tabindex: "-1" }, "Batches"), filters);
  main.replaceChildren(heading, upload.element, halted.element, problem.element, nothing, none, batches, more);
  document.title = "Batches · fanfold";

  // `asked` numbers the questions: what is answered after a later one was asked is not shown.
  const beyond = new Map();
  let [pages, shown, told, ready, asked, changes] = [1, "", "", false, 0, 0];
  function pipelines(known) {
    const text = JSON.stringify(known);
    if (text === told) return;
    told = text;
    fill(byPipeline.input, [["", "All"], ...known.map(({ name }) => [name, name])], filter.pipeline ?? "");
    show(byPipeline.element, known.length > 1 || Boolean(filter.pipeline));
    upload.update(known, filter.pipeline);
    halted.update(known);
  }
  async function read() {
    const mine = (asked += 1);
    const [all, known] = [[], pipelinesOf()];
    known.catch(() => {});
    let next = null;
    for (let page = 0; page < pages; page += 1) {
      const answer = await get(address.batches({ ...filter, next }));
      if (mine !== asked) return false;
      clock.set(answer.asOf);
      all.push(...answer.batches);
      next = answer.next;
      if (!next) break;
    }
    const those = await known;
    if (mine !== asked) return false;
    pipelines(those);
    problem.update(null);
    rows(all.sort(order));
    show(batches, all.length > 0);
    show(nothing, all.length === 0 && !filter.pipeline && !filter.state);
    show(none, all.length === 0 && nothing.hidden);
    if (!next) show(more, false);
    if (!ready) main.dispatchEvent(new CustomEvent("ready"));
    ready = true;
    const text = JSON.stringify(all);
    const changed = text !== shown;
    shown = text;
    if (next) {
      const some = await follows(next);
      if (mine === asked) show(more, some);
    }
    return changed;
  }
  /**
   * Whether anything is listed after a place. A server may name a place at which there is nothing; that is so for good,
   * since later batches come first.
   */
  async function follows(next) {
    const place = address.batches({ ...filter, next });
    if (!beyond.has(place)) {
      try {
        const answer = await get(place);
        beyond.set(place, answer.batches.length > 0 || Boolean(answer.next));
      } catch {
        // Whoever asks for more is told what is wrong.
        return true;
      }
    }
    return beyond.get(place);
  }
  async function ask() {
    try {
      return await read();
    } catch (error) {
      problem.update(error);
      return refused(error) ? "end" : false;
    }
  }
  let stop = poll(ask, EVERY);
  async function longer() {
    pages += 1;
    await read().catch(problem.update);
  }
  return {
    /** Another filter was chosen, here or by going back. */
    async change(chosen) {
      const mine = (changes += 1);
      if (none.contains(document.activeElement)) main.querySelector("h1").focus();
      [filter, pages, told] = [chosen, 1, ""];
      byState.input.value = filter.state ?? "";
      stop();
      await ask();
      if (mine !== changes) return;
      byPipeline.input.value = filter.pipeline ?? "";
      announce(counted(body.children.length, "batch", "batches"));
      stop = poll(ask, EVERY);
    },
    leave() {
      asked += 1;
      changes += 1;
      stop();
      upload.close();
    },
  };
}
