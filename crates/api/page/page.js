// Shows the page that the address names.

import { batchPage } from "./batch.js";
import { listPage } from "./list.js";
import { takeToken } from "./net.js";
import { decoded } from "./text.js";

const main = document.getElementById("main");
let page = null;
let kind = null;
let shown = null;

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind, pipeline, id] = path.split("/").map(decoded);
  if (kind === "batches" && pipeline && id) return [batchPage, { pipeline, id }];
  const given = new URLSearchParams(query);
  return [listPage, { pipeline: given.get("pipeline"), state: given.get("state") }];
}

function open() {
  // The link that skips to the content is no address of a page.
  if (location.hash === "#main") return main.focus();
  takeToken();
  const first = shown === null;
  if (shown === location.hash) return undefined;
  shown = location.hash;
  const [next, parameters] = route();
  if (next === kind && page.change) return page.change(parameters);
  page?.leave();
  main.classList.toggle("loading", true);
  main.addEventListener("ready", () => {
    main.classList.toggle("loading", false);
    // Whoever follows a link goes on reading from the title of the new page.
    if (!first) main.querySelector("h1")?.focus();
  }, { once: true });
  kind = next;
  page = kind(main, parameters);
  return undefined;
}

// A file that misses the place for uploads must not take the place of the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());

addEventListener("hashchange", open);
open();
