// The home page stands as it is, and is small. What checks it in the reader's browser is fetched when somebody asks for it,
// and by itself for whoever has asked before: then an older state, or another one, shows.
import { byId, count, element, instant, plural, say } from './dom.mjs';
import { remembers } from './memory.mjs';

async function check() {
  const place = byId('live');
  byId('live-ask').hidden = true;
  say(place, 'busy', 'Fetching the log’s signed state and checking it here…');
  let parts;
  try {
    parts = await Promise.all([import('./log.mjs'), import('./seen.mjs'), import('./belief.mjs')]);
  } catch {
    return say(place, 'unchecked', 'Not checked here: a part of the verifier could not be loaded.');
  }
  const [{ kindOf, openLog, why }, { showWarnings, signedBy, standing }, { tellKey }] = parts;
  try {
    const log = await openLog(), kind = standing(log);
    showWarnings(place, log);
    tellKey(log);
    const differs = replace(log);
    const head = { good: 'The signatures hold.', said: 'The signatures hold, of the log that this site names (its own word).', unchecked: 'Not settled: read what stands above.', bad: 'Do not rely on this: read what stands above.' }[kind];
    say(place, kind, `${head} Checked in your browser just now: ${signedBy(log)} ${differs ? 'This page said something else than what is signed; that now stands here instead. ' : ''}Entries that are listed on this page were not checked: each is proved on its own page.`);
  } catch (err) {
    say(place, kindOf(err), `${kindOf(err) === 'bad' ? 'Do not rely on this site' : 'Not checked here'}: ${why(err)}.`);
  }
}

// replace puts what was verified where the page had its own word, and tells whether that was something else.
function replace({ checkpoint: { size, root, cosigned } }) {
  const number = byId('state-size'), hash = byId('state-root'), list = byId('state-signers');
  const now = [count(size), btoa(String.fromCharCode(...root))], differs = number.textContent !== now[0] || hash.textContent !== now[1];
  [number.textContent, hash.textContent] = now;
  byId('state-label').textContent = size === 1n ? 'entry' : 'entries';
  byId('state-says').textContent = `Verified here: the last checkpoint is signed by the log${cosigned.length === 0 ? ' alone.' : ` and cosigned by ${plural(cosigned.length, 'witness', 'witnesses')}:`}`;
  list.replaceChildren(...cosigned.map(({ called, time }) => element('li', {}, element('strong', {}, called), ' ', instant(time))));
  return differs;
}

if (byId('live')) {
  byId('live-go').addEventListener('click', check);
  if (remembers()) check();
  else byId('live-ask').hidden = false;
}
byId('belief').addEventListener('toggle', () => import('./belief.mjs').then(({ showBelief }) => showBelief()), { once: true });
