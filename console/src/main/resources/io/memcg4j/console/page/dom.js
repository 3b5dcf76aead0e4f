// Elements are made here and nowhere else, from text: names of tenants are never markup.

/** An element with properties, attributes (a leading "@"), listeners (a leading "on") and children. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (name.startsWith("@")) {
      if (value !== undefined && value !== null) element.setAttribute(name.slice(1), value);
    } else {
      element[name] = value;
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets the text if it is another one: unchanged text costs no layout. */
/** Replaces what is in an element; null is nothing. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null));
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

/** Characters that are not seen, or that change the direction of what is, by number. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function visible(name) {
  return name.replace(UNSEEN, (c) =>
    "\u27e8U+" + c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0") + "\u27e9");
}

/** A name whose direction does not reach what is beside it. */
export function nameOf(name) {
  return h("bdi", { textContent: visible(name) });
}

export async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    button.textContent = "not allowed";
  }
  setTimeout(() => { button.textContent = before; }, 1200);
}
