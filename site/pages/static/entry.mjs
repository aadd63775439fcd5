// The page of one entry: it is found by its number, a digest or a name, proved in the reader's browser, and only then shown.
import { asked, heads, isRepo, lookup, lookupName } from './search.mjs';
import { ago, byId, clock, code, count, download, element, entries, here, instant, plural, say, svg } from './dom.mjs';
import { drawing, fileOf, stepsOf } from './proof.mjs';
import { kindOf, openLog, why } from './log.mjs';
import { quorumTime, remembered, showWarnings, signedBy, signers, standing, whichLog } from './seen.mjs';
import { readProof } from '../verifier/anchor.mjs';
import { matrix, outline } from './qr.mjs';
import { prove, proveHints } from './prove.mjs';
import { row } from './row.mjs';
import { showBelief, tellKey } from './belief.mjs';
import { hex, same } from '../verifier/hash.mjs';

const status = byId('status');

async function show() {
  const wanted = asked(new URLSearchParams(location.search));
  if (wanted.wrong) return say(status, 'unchecked', `Nothing was looked up: ${wanted.wrong}.`);
  if (wanted.name) byId('q').value = wanted.name;
  say(status, 'busy', 'Fetching the log’s signed state, the entry and its proof, and checking them here…');
  let log;
  try {
    log = await openLog();
  } catch (err) {
    return say(status, kindOf(err), kindOf(err) === 'bad' ? `Do not rely on this site: ${why(err)}.` : `Not checked here: ${why(err)}.`);
  }
  showWarnings(status, log);
  tellKey(log);
  try {
    await find(log, wanted);
  } catch (err) {
    say(status, kindOf(err), kindOf(err) === 'bad' ? `Do not rely on this: ${why(err)}.` : `Not checked here: ${why(err)}.`);
  }
}

async function find(log, { index, digest, name }) {
  const { size } = log.checkpoint;
  if (index !== undefined && index < size) {
    await showOne(log, await prove(log, index));
    return name === undefined ? undefined : findNamed(log, index, name);
  }
  const beyond = index === undefined ? '' : `There is no entry ${count(index)} yet: the signed state has ${entries(size)}, numbered from 0. `;
  if (beyond && name === undefined) return say(status, 'unchecked', beyond.trim());
  const { found, listed, cut } = await proveHints(log, digest ? await lookup('mr', digest, size) : await lookupName(name, size), digest ?? name);
  if (found.length === 1) return showOne(log, found[0]);
  if (found.length > 1) return showMany(log, found, listed, digest, cut);
  if (digest && (await heads('s', digest, size))) return location.replace(`${here('signer/index.html')}?k=${digest}`);
  if (name && isRepo(name) && (await heads('r', name, size))) return location.replace(`${here('source/index.html')}?r=${encodeURIComponent(name)}`);
  say(status, 'unchecked', `${beyond}No ${beyond ? 'pack' : 'entry'} is listed here for “${digest ?? name}”. That does not say that it is not in the log: this site could leave it out of its lists, or not have it yet. `,
    element('a', { href: here('verify/index.html') }, 'How to look without this site'), '.');
}

// findNamed looks for packs whose name is the number of another entry, which is shown already.
async function findNamed(log, index, name) {
  try {
    const { found } = await proveHints(log, await lookupName(name, log.checkpoint.size), name);
    const others = found.filter((one) => one.index !== index);
    if (others.length === 0) return;
    status.after(element('p', { class: 'note', id: 'named' }, `A pack is called “${name}”, too: see `,
      ...others.flatMap((one, k) => [k > 0 ? ', ' : '', element('a', { href: `?i=${one.index}` }, `entry ${count(one.index)}`)]), '.'));
  } catch {
    status.after(element('p', { class: 'quiet' }, `Whether a pack is called “${name}”, too, could not be looked up.`));
  }
}

function showMany(log, found, listed, digest, cut) {
  const more = cut ? ' The site lists more than is read here, and later ones: there may be others.'
    : listed > found.length ? ` ${count(listed)} are listed: these are the newest and the oldest.` : '';
  const manifests = manifestsOf(found), known = standing(log), proved = `each proved to be ${whichLog(log)}; what they say was not checked.`;
  if (digest && manifests.size === 1) {
    say(status, known, `${found.length} entries have this manifest, ${proved} One manifest was logged several times, which accuses nobody.${more}`);
  } else if (digest) {
    say(status, contradicts(found) ? 'bad' : worse(known), `${manifests.size} manifests have this pack root, ${proved} ${twinsSay(found)}${more}`);
  } else {
    say(status, known, `${found.length} entries, ${proved} A name is chosen by whoever makes a pack, so the same one may come again.${more}`);
  }
  status.after(element('ol', { class: 'rows brief' }, ...found.map(row)));
}

const worse = (kind) => (kind === 'bad' ? 'bad' : 'unchecked');
const manifestsOf = (list) => new Set(list.map(({ entry }) => entry.get('manifest_sha256')));

// contradicts tells whether one key signed several of the manifests. One manifest that was logged twice is no other.
function contradicts(list) {
  const signed = new Map();
  for (const { entry } of list) {
    const key = entry.get('signer_pubkey_sha256');
    signed.set(key, (signed.get(key) ?? new Set()).add(entry.get('manifest_sha256')));
  }
  return [...signed.values()].some((manifests) => manifests.size > 1);
}

// twinsSay tells what it means that several manifests have one pack root, which does not cover all that a manifest says.
const twinsSay = (list) => (contradicts(list) ? 'One key signed several of them: it said different things under one name.'
  : 'Different keys signed them, and who copied whom cannot be told from that: go by the digest of the manifest.');

async function showOne(log, found) {
  const { index, entry, steps, leaf } = found, kind = standing(log);
  document.title = `Entry ${count(index)} · ${log.checkpoint.origin}`;
  byId('title').textContent = `Entry ${count(index)}`;
  byId('ask').hidden = true;
  say(status, kind, ...headline(log, kind));
  byId('checks').replaceChildren(...checks(log, found));
  if (entry?.has('timestamp_token')) showTime(entry);
  byId('found').dataset.kind = kind;
  byId('found').hidden = false;
  if (entry) showEntry(log, found);
  else showBytes(log, found);
  byId('tree').replaceChildren(drawing(found, log.checkpoint.size));
  byId('steps').replaceChildren(...stepsOf(found, log.checkpoint.size, signers(log)));
  byId('steps').parentElement.open = matchMedia('(min-width: 44rem)').matches;
  byId('steps-name').textContent = steps.length === 0 ? 'The hash of it' : `Every byte of the ${plural(steps.length, 'step')}`;
  await offer(log, found, leaf);
}

// headline says what was proved, and with it the condition on which it stands.
function headline(log, kind) {
  const strong = (text) => element('strong', {}, text), way = 'from the entry’s own bytes to the signatures';
  return {
    good: [strong('In the log.'), ` Your browser has just proved it, ${way} that your policy asks for.`],
    said: [strong('In the log that this site names (its own word).'), ` Your browser has just proved it, ${way}. That these are the right keys it cannot know: `, leadToBelief('compare them'), '.'],
    unchecked: [strong('Not settled.'), ` The hashes lead ${way}, and the state that was signed is in question: read what stands above.`],
    bad: [strong('Do not rely on this.'), ` The hashes lead ${way}, but not of a log that stands as it stood before: read what stands above.`],
  }[kind];
}

// checks says one by one what was checked here, and what was not. Nothing is green under an alarm.
function checks(log, { steps }) {
  const { checkpoint, policy } = log, time = quorumTime(checkpoint, policy), kind = standing(log), proved = kind === 'good' || kind === 'said' ? 'good' : 'none';
  const list = [
    [kind === 'good' || kind === 'said' ? kind : 'none', signedBy(log) + (time === null ? '' : ` Enough had cosigned by ${instant(time)}, ${ago(time)}.`)],
    [proved, steps.length === 0 ? 'The entry’s hash is the root of that state: there is no other entry.'
      : `${plural(steps.length, 'step')} of hashing ${steps.length === 1 ? 'leads' : 'lead'} from the entry’s bytes to the root of that state.`],
  ];
  const [how, text] = remembered(log);
  list.push([how === 'good' ? proved : how, text]);
  if (!log.own) list.push(['unchecked', 'Whose signatures count was this site’s own word: ', leadToBelief('whom this page believes'), '.']);
  return list.map(checked);
}

const checked = ([kind, ...parts]) => element('li', { 'data-kind': kind }, ...parts);

function leadToBelief(text) {
  const link = element('a', { href: '#belief' }, text);
  link.addEventListener('click', () => (byId('belief').open = true));
  return link;
}

// showTime checks the timestamp, which takes a part of the verifier that most entries do without.
async function showTime(entry) {
  const place = checked(['busy', 'Checking the timestamp…']);
  byId('checks').append(place);
  try {
    const { checkTime } = await import('./stamp.mjs'), { kind, text, short } = await checkTime(entry);
    place.replaceWith(checked([kind, text]));
    byId('time').textContent = short;
  } catch (err) {
    place.replaceWith(checked(['unchecked', `The timestamp was not checked here: ${why(err)}.`]));
  }
}

function showEntry(log, found) {
  const { entry } = found;
  const get = (name) => entry.get(name), failed = get('claim_check') === 'FAIL' && get('receipt_integrity') === 'PASS';
  answer('integrity', ...(get('receipt_integrity') === 'PASS' ? ['said', 'signer says pass'] : ['bad', 'signer says fail']));
  answer('claims', ...{ PASS: ['said', 'signer says pass'], FAIL: ['honest', 'honest failure'], 'N/A': ['none', 'none made'] }[get('claim_check')]);
  answerAnchor(log);
  for (const text of document.querySelectorAll('[data-when]')) text.hidden = text.dataset.when !== get('claim_check');
  byId('honest').hidden = !failed;
  byId('lead').textContent = `A run of a program, written down in ${plural(get('n_receipts').token, 'receipt')}${
    get('source_repo') ? `, said to be of ${get('source_repo')},` : ''} and sealed by whoever goes by “${get('signer_id')}”.`;
  byId('members').replaceChildren(...members(entry).flatMap(([name, ...value]) => [element('dt', {}, name), element('dd', {}, ...value)]));
  findTwins(log, found);
}

function answerAnchor(log) {
  const kind = standing(log);
  answer('anchor', kind, { good: 'proved', said: 'proved, in the log that this site names', unchecked: 'not settled', bad: 'do not rely on it' }[kind]);
  byId('signed-by').textContent = signers(log);
}

function answer(name, kind, word) {
  const channel = byId(`c-${name}`);
  channel.dataset.kind = kind;
  channel.querySelector('.answer').textContent = word;
}

const word = (name) => document.querySelector(`#words [data-word="${name}"]`).textContent;
const quiet = (text) => element('span', { class: 'quiet' }, text);

// members gives what is on record, as [name, parts…], in the words of the other pages.
function members(entry) {
  const get = (name) => entry.get(name), key = get('signer_pubkey_sha256'), repo = get('source_repo');
  return [
    ['pack', code(get('pack_id')), quiet(' its maker’s name for it')],
    ['manifest', code(get('manifest_sha256')), quiet(' SHA-256 of its canonical form')],
    ['pack root', code(get('pack_root_sha256'))],
    ['signer', element('a', { href: `${here('signer/index.html')}?k=${key}` }, get('signer_id')), quiet(' by its own word; the key is '), code(key)],
    ['source', ...(repo ? [element('a', { href: `${here('source/index.html')}?r=${encodeURIComponent(repo)}` }, repo)] : []),
      ...(get('source_commit') ? [' at ', code(get('source_commit'))] : []), ...(get('source_workflow') ? [', workflow ', code(get('source_workflow'))] : []),
      quiet(` ${word(get('source_attestation') ?? 'none')}`)],
    ['receipts', `${count(get('n_receipts').token)}, mode ${get('mode')}, assurance level ${get('assurance_level')}, checked by verifier ${get('verifier_version')}`],
    ['run', `${clock(get('timestamp_start'))} to ${clock(get('timestamp_end'))}`, quiet(' by the signer’s clock')],
    ['submitted', clock(get('submitted_at')), quiet(' by the ledger’s clock')],
    ['timestamp', element('span', { id: 'time' }, entry.has('timestamp_token') ? 'on record, and not checked here' : word('no-time'))],
  ];
}

// showBytes shows a leaf that is in the log and is no entry.
function showBytes(log, { leaf, problem }) {
  answer('integrity', 'none', 'unread');
  answer('claims', 'none', 'unread');
  answerAnchor(log);
  const text = Array.from(leaf.subarray(0, 1024), (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : `\\x${b.toString(16).padStart(2, '0')}`)).join('');
  byId('members').replaceChildren(
    element('dt', {}, 'not an entry'), element('dd', {}, `These bytes are in the log, and are no entry of the form that this page knows: ${problem}.`),
    element('dt', {}, 'the bytes'), element('dd', {}, code(text + (leaf.length > 1024 ? ` … and ${count(leaf.length - 1024)} more` : ''))));
}

// findTwins looks for other manifests with the same pack root. What is found is proved before anybody is accused of it.
async function findTwins(log, found) {
  const root = found.entry.get('pack_root_sha256'), manifest = found.entry.get('manifest_sha256'), place = byId('twins');
  try {
    const others = (await lookup('r', root, log.checkpoint.size)).filter((hint) => hint.index !== found.index);
    const { found: list } = await proveHints(log, others, root);
    const isAgain = ({ entry }) => entry.get('manifest_sha256') === manifest;
    const twins = list.filter((one) => !isAgain(one)), again = list.filter(isAgain);
    if (again.length > 0) {
      byId('again').replaceChildren(element('p', {}, element('strong', {}, 'Logged more than once. '), 'This very manifest is also ', ...links(again), ', which accuses nobody.'));
      byId('again').hidden = false;
    }
    if (twins.length > 0) {
      place.replaceChildren(element('p', {}, element('strong', {}, 'Another manifest has this pack root. '), twinsSay([found, ...twins]), ' See ', ...links(twins), '.'));
      place.hidden = false;
    }
  } catch (err) {
    place.className = 'note';
    place.replaceChildren(element('p', {}, `Whether another manifest has this pack root could not be checked here: ${why(err)}.`));
    place.hidden = false;
  }
}

const links = (list) => list.flatMap(({ index }, k) => [k > 0 ? ', ' : '', element('a', { href: `?i=${index}` }, `entry ${count(index)}`)]);

// offer gives the files to take along. The proof is read again as any verifier would, before it is handed out.
async function offer(log, found) {
  const { index, leaf } = found, name = `entry-${index}.tlog-proof`, file = new Uint8Array(await fileOf(found, log.note).arrayBuffer());
  const read = readProof(file);
  if (read.index !== index || !same(read.extra, leaf)) throw new Error('the proof that was made cannot be read again');
  download(byId('get-proof'), name, file, 'text/plain');
  download(byId('get-entry'), `entry-${index}.json`, leaf, 'application/json');
  byId('proof-name').textContent = name;
  if (!found.entry?.has('timestamp_token')) byId('commands').querySelector('[data-roots]')?.remove(); // with roots, a time is asked for
  byId('leaf-hash').textContent = hex(found.hash);
  showAddress(`${here('entry/index.html')}?i=${index}`);
}

// showAddress gives the address for paper, and as a code for a telephone.
function showAddress(address) {
  const figure = byId('qr'), rows = matrix(address);
  figure.querySelector('code').textContent = address;
  if (rows) {
    const size = rows.length + 8;
    figure.firstElementChild.replaceChildren(svg('svg', { viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': 'QR code of the address of this page', focusable: 'false' },
      svg('path', { d: outline(rows) })));
  }
  figure.hidden = false;
}

showBelief();
show();
