// The few ways in which these pages make elements. Texts of a pack become text nodes, never markup: there is no other
// way here, and the policy of the page (Trusted Types) leaves none.
import { visible } from './rows.mjs';

// element makes one: attributes first, then children, of which texts are shown as they are.
export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// said is a text of somebody else, made visible.
export const said = (text) => document.createTextNode(visible(String(text)));

export const byId = (id) => document.getElementById(id);

// fill puts children in place of what an element holds, and shows it if there are any.
export function fill(id, ...children) {
  const place = byId(id);
  place.replaceChildren(...children);
  place.closest('[data-part]')?.toggleAttribute('hidden', children.length === 0);
}
