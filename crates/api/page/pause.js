// Pausing a pipeline and resuming it, which concerns all of its batches.

import { action } from "./ask.js";
import { announce, h, keyed, setText, show } from "./dom.js";
import { address, pipelinesOf, poll, post } from "./net.js";
import { isFinal } from "./text.js";

const ASKS_EVERY = 10_000;
const KEPT = "Queued messages are kept for 14 days at most; sweep sends them again after that.";

/** A notice about a pipeline that is paused, with a button that resumes it; and one that pauses it. */
function valve(name, of, refresh) {
  const make = (verb, busy, done) => action({
    tone: "plain",
    confirm: `Confirm: ${verb}`,
    busy,
    done,
    async run(key) {
      await post(address.pipeline(name, verb), {}, key);
      // The pipeline is shown as what the server says that it is, which may take a while.
      refresh();
    },
  });
  const pause = make("pause", "Pausing…", "The pipeline is being paused.");
  const resume = make("resume", "Resuming…", "The pipeline is being resumed.");
  const words = h("p", null, `The pipeline ${name} is paused. Its batches go on once it is resumed.`);
  const element = h("div", { class: "notice warn" }, words, resume.element);
  const whole = `all batches of the pipeline ${name}`;
  const pausing = {
    label: `Pause pipeline${of}`,
    text: `This pauses ${whole}: chunks that wait stay, those that run end. ${KEPT}`,
  };
  const resuming = {
    label: `Resume pipeline${of}`,
    text: `This resumes ${whole}: chunks that wait are processed. What its queues no longer hold, sweep sends again.`,
  };
  function update(paused) {
    const [runs, rests] = [paused === false, paused === true];
    // What is shown comes first, so that it can take the focus from what goes away.
    const steps = [[pause, { ...pausing, shown: runs, next: rests ? resume.button : null }]];
    steps.push([resume, { ...resuming, shown: rests, next: runs ? pause.button : null }]);
    if (rests) show(element, true);
    for (const [one, how] of rests ? steps.toReversed() : steps) one.update(how);
    show(element, rests);
  }
  update(null);
  return { element, pause: pause.element, update };
}

/** The pipeline of a batch, of which the batch itself does not know whether it is paused. */
export function held(pipeline) {
  let [paused, view, stopPolling] = [null, null, null];
  const { element, pause, update: set } = valve(pipeline, "", () => ask());
  function update(next) {
    view = next;
    set(view && !isFinal(view.state) ? paused : null);
  }
  async function ask() {
    try {
      const known = await pipelinesOf();
      const before = paused;
      paused = known.find(({ name }) => name === pipeline)?.paused ?? null;
      if (before !== null && paused !== null && before !== paused) {
        announce(`The pipeline ${pipeline} ${paused ? "is paused" : "is resumed"}.`);
      }
      update(view);
    } catch {
      // The document says what is wrong, where something is.
    }
    return false;
  }
  function start() {
    stopPolling ??= poll(ask, ASKS_EVERY);
  }
  function stop() {
    stopPolling?.();
    stopPolling = null;
  }
  start();
  return { element, pause, update, start, stop };
}

/** The pipelines that are paused, each with a button that resumes it. */
export function pausedOnes(refresh) {
  const element = h("div", { hidden: true });
  const rows = keyed(element, ({ name }) => name, ({ name }) => {
    const one = valve(name, ` ${name}`, refresh);
    return { element: one.element, update: ({ paused }) => one.update(paused) };
  });
  return {
    element,
    update(known) {
      const focused = element.contains(document.activeElement);
      const stopped = known.filter(({ paused }) => paused === true);
      rows(stopped);
      show(element, stopped.length > 0);
      if (focused && !element.contains(document.activeElement)) document.querySelector("h1").focus();
    },
  };
}
