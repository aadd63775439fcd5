// The home page stands as it is, and is small. What checks it in the reader's browser is fetched when somebody asks for it,
// and by itself for whoever has asked before: then an older state, or another one, shows.
import { byId, say } from './dom.mjs';
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
  const [{ kindOf, openLog, why }, { showWarnings, signedBy }, { tellKey }] = parts;
  try {
    const log = await openLog();
    showWarnings(place, log);
    tellKey(log);
    say(place, 'good', `Checked in your browser just now. ${signedBy(log)}`);
  } catch (err) {
    say(place, kindOf(err), `${kindOf(err) === 'bad' ? 'Do not rely on this site' : 'Not checked here'}: ${why(err)}.`);
  }
}

if (byId('live')) {
  byId('live-go').addEventListener('click', check);
  if (remembers()) check();
  else byId('live-ask').hidden = false;
}
byId('belief').addEventListener('toggle', () => import('./belief.mjs').then(({ showBelief }) => showBelief()), { once: true });
