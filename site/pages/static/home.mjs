// The home page stands as it is. Once it does, its checkpoint is checked in the reader's browser.
import { byId, say } from './dom.mjs';

const belief = import('./belief.mjs');

async function check() {
  const place = byId('live');
  if (!place) return;
  const [{ kindOf, openLog, why }, { showWarnings, signedBy }, { tellKey }] = await Promise.all([import('./log.mjs'), import('./seen.mjs'), belief]);
  try {
    const log = await openLog();
    showWarnings(place, log);
    await tellKey(log);
    say(place, 'good', `Checked in your browser just now. ${signedBy(log)}`);
  } catch (err) {
    say(place, kindOf(err), `${kindOf(err) === 'bad' ? 'Do not rely on this site' : 'Not checked here'}: ${why(err)}.`);
  }
}

belief.then(({ showBelief }) => showBelief());
check();
