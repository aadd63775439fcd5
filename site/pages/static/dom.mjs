// The few ways in which these pages make elements and words. Whatever an entry says becomes text, never markup.

export const byId = (id) => document.getElementById(id);

// element makes one: attributes first, then children, of which texts stay texts.
export function element(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return dress(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function dress(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const code = (text) => element('code', {}, text);

// say puts a sentence into a place and shows it; kind is 'good', 'bad', 'unchecked' or 'busy', for colour and mark.
export function say(place, kind, ...parts) {
  place.replaceChildren(...parts);
  place.dataset.kind = kind;
  place.hidden = false;
}

// count writes a number in groups of three.
export const count = (n) => n.toString().replace(/\B(?=(\d{3})+$)/g, ',');

export const entries = (n) => `${count(n)} ${n == 1 ? 'entry' : 'entries'}`;

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n == 1 ? one : many}`;

const LAST = 253402300799n; // the last second that a date with four digits has: a witness may sign a later one

// instant writes a time as the other pages do; seconds are those of POSIX.
export function instant(seconds) {
  if (BigInt(seconds) > LAST) return `${seconds} seconds after 1970`;
  return new Date(Number(seconds) * 1000).toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');
}

// clock writes a time of an entry as instant does, if it is UTC; another one stays as it is spelled.
export const clock = (text) => text.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.0+|(\.\d+?)0*)?(?:Z|\+00:00)$/, '$1 $2$3 UTC');

// ago says how long ago a time was, by the clock of this device.
export function ago(seconds, now = Date.now() / 1000) {
  const s = now - Number(seconds);
  if (s < -60) return 'in the future of this device’s clock';
  for (const [unit, name] of [[86400, 'day'], [3600, 'hour'], [60, 'minute']]) {
    if (s >= unit) return `${plural(Math.floor(s / unit), name)} ago`;
  }
  return 'just now';
}

// here is the address of a page of this site.
export const here = (path) => new URL(`../${path}`, import.meta.url).href;

// download lets a link save bytes that this page holds.
export function download(link, name, bytes, type) {
  if (link.href.startsWith('blob:')) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
}
