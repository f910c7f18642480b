// Shows the page that the address names.

import { batchPage } from "./batch.js";
import { listPage } from "./list.js";
import { takeToken } from "./net.js";

const main = document.getElementById("main");
let leave = null;
let shown = null;

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind, pipeline, id] = path.split("/").map(decodeURIComponent);
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
  leave?.();
  const [page, parameters] = route();
  main.classList.toggle("loading", true);
  main.addEventListener("ready", () => {
    main.classList.toggle("loading", false);
    // Whoever follows a link goes on reading from the title of the new page.
    if (!first) main.querySelector("h1")?.focus();
  }, { once: true });
  leave = page(main, parameters);
  return undefined;
}

addEventListener("hashchange", open);
open();
