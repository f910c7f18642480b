// Charts of what this page saw of a batch, with a table behind each. They are drawn here: beside uPlot, which weighs
// 53 KB, the page would stay below 100 KB only if it were minified.

import { h, keyed, scrolls, setAttribute, setText, show, table } from "./dom.js";
import { clock, compact, count, rate } from "./text.js";

const MOST = 600;
const ROWS = 30;
const [WIDTH, HEIGHT] = [1000, 100];
const STEPS = [1, 2, 2.5, 4, 5, 10];

/** The end of a scale that holds a number and whose half is a round number, too. */
export function scaleFor(most) {
  if (!(most > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  return unit * STEPS.find((step) => step * unit >= most);
}

function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** The picture of a chart: lines in an SVG that is stretched to its place, with numbers and times as text beside it. */
function plot(lines) {
  const [numbers, times] = [[2, 1, 0], [0, 1, 2]].map((places) => places.map(() => h("span")));
  const image = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
  image.append(svg("path", { class: "grid", d: [0, 50, 100].map((y) => `M0 ${y}H${WIDTH}`).join("") }));
  const paths = lines.map(([, , tone]) => svg("path", { class: `line ${tone}`, d: "" }));
  image.append(...paths);
  const element = h("div", { class: "plot", role: "img" });
  element.append(h("div", { class: "scale" }, ...numbers), image, h("div", { class: "times" }, ...times));
  return {
    element,
    update(all) {
      const most = scaleFor(Math.max(...lines.flatMap(([column]) => all.map((sample) => sample[column] ?? 0))));
      [most, most / 2, 0].forEach((number, place) => setText(numbers[place], compact(number)));
      const [first, last] = [all[0].at, all.at(-1).at];
      [first, (first + last) / 2, last].forEach((at, place) => setText(times[place], clock(at)));
      lines.forEach(([column], place) => {
        const known = all.filter((sample) => sample[column] !== null);
        const points = known.map((sample) => {
          const [x, y] = [(sample.at - first) / (last - first), 1 - sample[column] / most];
          return `${(x * WIDTH).toFixed(1)} ${(y * HEIGHT).toFixed(2)}`;
        });
        paths[place].setAttribute("d", points.length ? `M${points.join("L")}` : "");
      });
    },
  };
}

/** At most 600 samples; once there are more, every second one is left out, so that they reach back to the first. */
export class Samples {
  #all = [];

  add(view) {
    const { succeeded, failed } = view.records;
    const at = Date.parse(view.asOf);
    const last = this.#all.at(-1);
    if (last && at <= last.at) return;
    const pace = view.pace ? (view.pace.recent ?? view.pace.mean) : null;
    this.#all.push({ at, done: succeeded + failed, failed, pace });
    if (this.#all.length > MOST) this.#all = this.#all.filter((_, place) => place % 2 === 0);
  }

  get length() {
    return this.#all.length;
  }

  get all() {
    return this.#all;
  }

  /** Some of them for a table, the last one first. */
  few() {
    const step = Math.ceil(this.#all.length / ROWS);
    return this.#all.filter((_, place, all) => (all.length - 1 - place) % step === 0).reverse();
  }
}

/** A chart of some columns of the samples. `lines` are triples of a column, its name, and the name of its colour. */
export function chart(title, lines, format) {
  const keys = lines.map(([, name, tone]) => {
    const number = h("span", { class: "number" });
    const swatch = h("span", { class: `swatch ${tone}`, "aria-hidden": "true" });
    return { number, element: h("span", { class: "key" }, swatch, `${name} `, number) };
  });
  const picture = plot(lines);
  const body = h("tbody");
  const columns = [["Time", null], ...lines.map(([, name]) => [name, "number"])];
  const rows = keyed(body, (sample) => sample.at, (sample) => {
    const moment = new Date(sample.at).toISOString();
    const at = h("time", { datetime: moment, title: `${moment.slice(0, 19).replace("T", " ")} UTC` }, clock(moment));
    const cells = lines.map(([column]) => h("td", { class: "number" }, format(sample[column])));
    return { element: h("tr", null, h("td", null, at), ...cells) };
  });
  const details = h("details", null, h("summary", null, `${title} in numbers`));
  details.append(scrolls(`${title}, numbers`, table(title, columns, body)));
  const caption = h("figcaption", null, h("h3", null, title), ...keys.map((key) => key.element));
  const element = h("figure", { class: "chart" }, caption, picture.element, details);
  let samples = null;
  details.addEventListener("toggle", () => details.open && samples && rows(samples.few()));

  return {
    element,
    update(known) {
      samples = known;
      const { all } = known;
      const [first, last] = [all[0], all.at(-1)];
      picture.update(all);
      lines.forEach(([column], place) => setText(keys[place].number, format(last[column])));
      const from = ([column, name]) => `${name.toLowerCase()} from ${format(first[column])} to ${format(last[column])}`;
      setAttribute(picture.element, "aria-label", `${title} since ${clock(first.at)}: ${lines.map(from).join(", ")}`);
      if (details.open) rows(known.few());
    },
  };
}

/** Records and pace over time, beside each other. */
export function charts() {
  const samples = new Samples();
  const records = chart("Records", [["done", "Done", "done"], ["failed", "Failed", "failed"]], count);
  const known = (pace) => (pace === null ? "–" : rate(pace));
  const pace = chart("Pace", [["pace", "Records a second", "running"]], known);
  const early = h("p", { class: "quiet" }, "The chart begins with the next change.");
  const both = h("div", { class: "charts" }, records.element, pace.element);
  const heading = h("h2", { id: "h-course" }, "Over time");
  const element = h("section", { "aria-labelledby": "h-course" }, heading, early, both);
  return {
    element,
    update(view, final) {
      samples.add(view);
      const enough = samples.length >= 2;
      show(element, enough || !final);
      show(early, !enough);
      show(both, enough);
      if (enough) [records, pace].forEach((one) => one.update(samples));
    },
  };
}
