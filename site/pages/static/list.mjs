// The entries of one signer or one repository, newest first: from a head of the lists of this site, back through prev/. Each
// is proved, and is what was asked for, before it is shown.
import { byId, count, element, entries, plural, say } from './dom.mjs';
import { again, get, kindOf, openLog, why } from './log.mjs';
import { heads, indexes, isRepo } from './search.mjs';
import { pathOf } from '../verifier/tiles.mjs';
import { prove } from './prove.mjs';
import { row } from './row.mjs';
import { showBelief, tellKey } from './belief.mjs';
import { showWarnings, standing, whichLog } from './seen.mjs';

const status = byId('status'), query = new URLSearchParams(location.search);
const key = query.get('k'), repo = query.get('r');
const KINDS = {
  s: { member: 'signer_pubkey_sha256', title: 'Signer', column: 0 }, r: { member: 'source_repo', title: 'Source', column: 1 },
};

async function show() {
  if (key === null && repo === null) return;
  const kind = key !== null ? 's' : 'r', wanted = key ?? repo;
  if (kind === 's' ? !/^[0-9a-f]{64}$/.test(wanted) : !isRepo(wanted)) {
    return say(status, 'unchecked', kind === 's' ? 'A key is named by the 64 digits of its SHA-256.' : 'A repository is named as owner/name.');
  }
  byId('known').hidden = true;
  byId('title').replaceChildren(`${KINDS[kind].title} `, element('code', {}, wanted));
  document.title = `${KINDS[kind].title} ${wanted.slice(0, 24)}`;
  say(status, 'busy', 'Fetching the newest entries and proving each…');
  try {
    const log = await openLog();
    showWarnings(status, log);
    tellKey(log);
    const head = await heads(kind, wanted, log.checkpoint.size);
    if (!head || head.newest.length === 0) {
      return say(status, 'unchecked', 'None are listed here. That does not say that the log has none: this site could leave them out, or not have them yet.');
    }
    await new Walk(log, kind, wanted, head).more();
  } catch (err) {
    failed(err);
  }
}

function failed(err) {
  again();
  say(status, kindOf(err), kindOf(err) === 'bad' ? `Do not rely on this site: ${why(err)}.` : `Not checked here: ${why(err)}.`);
}

// Walk goes back from the newest entry of a key.
class Walk {
  constructor(log, kind, wanted, head) {
    Object.assign(this, { log, kind, wanted, head, names: new Set(), shown: 0, next: head.newest });
    byId('walk').hidden = false;
    byId('older').addEventListener('click', () => this.more().catch(failed));
  }

  // more shows the next eight, and looks up which come before them. After a failure it can be asked again.
  async more() {
    const { log, kind, wanted } = this, button = byId('older'), now = this.next;
    button.disabled = true;
    try {
      const list = await Promise.all(now.map((i) => prove(log, i))), next = await this.before(now[now.length - 1]);
      for (const found of list) {
        if (found.entry?.get(KINDS[kind].member) !== wanted) continue; // a hint that leads elsewhere
        this.names.add(found.entry.get('signer_id'));
        byId('rows').append(row(found));
        this.shown++;
      }
      this.next = next;
      button.textContent = 'Show older ones';
      button.hidden = next.length === 0;
      this.say();
    } catch (err) {
      button.textContent = 'Try again';
      button.hidden = false;
      throw err;
    } finally {
      button.disabled = false;
    }
  }

  // before reads which entries of the key come before one, newest first.
  async before(index) {
    const { size } = this.log.checkpoint, n = index / 256n, width = size - n * 256n;
    const text = (width < 256n ? await get(pathOf('prev', n, width)) : null) ?? (await get(pathOf('prev', n)));
    const line = text && new TextDecoder().decode(text).split('\n')[Number(index % 256n)];
    return line ? indexes(line.split(' ')[KINDS[this.kind].column] ?? '', index) : [];
  }

  say() {
    const { shown, head, kind, log } = this;
    const counted = BigInt(shown) === head.count ? entries(shown) : `${count(shown)} of the ${entries(head.count)} that this site lists`;
    say(status, shown > 0 ? standing(log) : 'unchecked', shown > 0
      ? `${counted}, each proved in this browser just now to be ${whichLog(log)}; what they say was not checked. A list proves what is on it, and nothing about what is not: a site can leave some out.`
      : 'What this site lists for it leads to entries of others.');
    if (kind === 's' && shown > 0) {
      byId('lead').textContent = `The holder of this key goes by ${[...this.names].slice(0, 5).map((name) => `“${name}”`).join(', ')}${
        this.names.size > 5 ? ` and ${plural(this.names.size - 5, 'other name')}` : ''}. A name is what the holder chose: what these entries have in common is the key, and who holds it they do not say.`;
    }
  }
}

showBelief();
show();
