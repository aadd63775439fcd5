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
  byId('policy-keep').addEventListener('click', () => {
    const wanted = text.value.endsWith('\n') ? text.value : `${text.value}\n`;
    try {
      const policy = readPolicy(new TextEncoder().encode(wanted));
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

// tellKey says which keys of the log signed what was checked, and under which policy: not the page's word, but what verified.
export function tellKey({ keys, policyDigest, own }) {
  const place = byId('key-used'), word = byId('policy-used');
  place.querySelector('.label').textContent = keys.length === 1 ? 'SHA-256 of the key whose signature was verified' : `SHA-256 of the ${keys.length} keys whose signatures were verified`;
  place.querySelector('code').textContent = keys.join(' ');
  word.querySelector('.label').textContent = `SHA-256 of the whole policy that was used, ${own ? 'which is yours' : 'which is this site’s own'}`;
  word.querySelector('code').textContent = policyDigest;
  place.hidden = word.hidden = false;
}
