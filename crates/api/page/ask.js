// What went wrong, in place; and an action that asks first, in place, and is done once however often it is clicked.

import { h, setAttribute, setText, show } from "./dom.js";
import { newKey } from "./net.js";

/** A place for a problem: what happened, and what to do. */
export function problemBox() {
  const [title, detail, advice] = [h("strong"), h("span"), h("span")];
  const element = h("div", { class: "problem", role: "alert", hidden: true }, title, detail, advice);
  return {
    element,
    update(problem) {
      show(element, Boolean(problem));
      setText(title, problem ? problem.message : "");
      setText(detail, problem?.detail ?? "");
      setText(advice, problem?.advice ?? (problem ? "Load the page again." : ""));
    },
  };
}

/**
 * A button that opens a question with Confirm and Back. `run(key)` does it; the key is the same until the question is
 * closed, so that a second try is no second action.
 */
export function action({ tone, confirm, busy, done, run, about = null }) {
  let [key, running] = [null, false];
  const named = { type: "button", class: tone, "aria-expanded": "false", "aria-describedby": about };
  const open = h("button", { ...named, onclick: () => toggle(true) });
  const question = h("p", { tabindex: "-1" });
  const yes = h("button", { type: "button", class: `${tone} sure`, onclick: () => go() }, confirm);
  const back = h("button", { type: "button", onclick: () => toggle(false) }, "Back");
  const problem = problemBox();
  const asked = h("div", { class: "ask", role: "group", "aria-label": confirm, hidden: true });
  asked.append(question, problem.element, h("div", { class: "row" }, yes, back));
  asked.addEventListener("keydown", (event) => event.key === "Escape" && !running && toggle(false));
  const finished = h("p", { class: "note", tabindex: "-1", hidden: true }, done);
  const element = h("div", { class: "action" }, open, asked, finished);

  function set(asks) {
    key = asks ? newKey() : null;
    problem.update(null);
    show(asked, asks);
    show(open, !asks);
    setAttribute(open, "aria-expanded", String(asks));
  }

  function toggle(asks) {
    if (running) return;
    set(asks);
    // The question gets the focus, not Confirm: a key that is held down must not answer it.
    (asks ? question : open).focus();
  }

  function wait(now) {
    running = now;
    setAttribute(yes, "aria-disabled", now);
    setAttribute(back, "aria-disabled", now);
    setText(yes, now ? busy : confirm);
  }

  async function go() {
    if (running) return;
    problem.update(null);
    wait(true);
    try {
      await run(key);
      set(false);
      show(open, false);
      show(finished, true);
      finished.focus();
    } catch (error) {
      problem.update(error);
    }
    wait(false);
  }

  return {
    element,
    button: open,
    /** `next` gets the focus if this goes away with it; otherwise the title of the page does. */
    update({ shown, label, text, next }) {
      if (!shown && element.contains(document.activeElement)) (next ?? document.querySelector("h1")).focus();
      if (!shown) show(finished, false);
      if (!asked.hidden && !shown && !running) set(false);
      show(element, shown);
      setText(open, label);
      setText(question, text);
      if (asked.hidden && finished.hidden) show(open, true);
    },
  };
}
