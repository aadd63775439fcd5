// The part of a page that says whom it believes, and takes another policy.
import { byId, say } from './dom.mjs';
import * as memory from './memory.mjs';
import { readPolicy } from '../verifier/notes.mjs';

// showBelief lets the reader choose. A policy that is kept is used from the next load on, which comes at once.
export function showBelief() {
  byId('unrun')?.remove();
  const text = byId('policy-text'), said = byId('policy-said'), own = memory.policy();
  byId('own-policy').hidden = false;
  if (own) {
    text.value = new TextDecoder().decode(own);
    say(said, 'good', 'This page checks with the policy below, which is yours.');
    byId('belief').open = true;
  }
  byId('policy-keep').addEventListener('click', async () => {
    const wanted = text.value.endsWith('\n') ? text.value : `${text.value}\n`;
    try {
      const policy = await readPolicy(new TextEncoder().encode(wanted));
      if (policy.logs.length === 0) throw new Error('it names no log');
      if (!memory.keepPolicy(wanted)) throw new Error('this browser keeps nothing for this page');
      location.reload();
    } catch (err) {
      say(said, 'bad', `Not taken: ${err.message}.`);
    }
  });
  byId('policy-drop').addEventListener('click', () => {
    memory.forget();
    location.reload();
  });
}

// tellKey says which key of a log the check was made with: not the page's word, but what the policy holds.
export function tellKey({ key }) {
  const place = byId('key-used');
  place.querySelector('code').textContent = key;
  place.hidden = false;
}
