// Elements that are made once and then updated in place, so that focus and selection stay where they are.

/** An element. `on…` attributes are listeners; an attribute that is null or false is left out. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else setAttribute(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

/** Writes a text, if it is another one than before. */
export function setText(element, text) {
  const only = element.firstChild;
  if (only?.nodeType === Node.TEXT_NODE && !only.nextSibling) {
    if (only.data !== text) only.data = text;
  } else if (only || text !== "") {
    element.textContent = text;
  }
}

export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/**
 * A function that shows items as children of an element: one child for each key, made once, updated in place, in the
 * order of the items.
 */
export function keyed(parent, keyOf, make) {
  const known = new Map();
  return (items) => {
    const keys = new Set(items.map(keyOf));
    for (const [key, child] of known) {
      if (!keys.has(key)) {
        child.element.remove();
        known.delete(key);
      }
    }
    const focused = document.activeElement;
    let next = parent.firstChild;
    for (const item of items) {
      const key = keyOf(item);
      if (!known.has(key)) known.set(key, make(item));
      const child = known.get(key);
      if (child.element === next) next = next.nextSibling;
      else parent.insertBefore(child.element, next);
      child.update?.(item);
    }
    // A browser takes the focus from an element that is moved.
    if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
  };
}

/** Says something to those who listen to the page, once. */
export function announce(text) {
  setText(document.getElementById("said"), text);
}

/** A table with its head. `columns` are pairs of a title and a class. */
export function table(caption, columns, body) {
  const titles = columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title));
  const head = h("thead", null, h("tr", null, ...titles));
  return h("table", null, h("caption", { class: "unseen" }, caption), head, body);
}

/** A region that scrolls sideways where it is narrow; whoever uses a keyboard can reach it. */
export function scrolls(label, content) {
  return h("div", { class: "scrolls", tabindex: "0", role: "group", "aria-label": label }, content);
}
