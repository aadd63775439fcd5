// The page: what is dropped or chosen on it, or what it holds, is judged here, and nothing of it leaves.
import { chosenIn, entryOf, foundIn, sorted } from './browser_files.mjs';
import { heldIn, heldInText, packIn } from './browser_held.mjs';
import { byId, element, fill, said } from './browser_dom.mjs';
import { listenToRows, showRows } from './browser_rows.mjs';
import { showNothing, showProof, showVerdict } from './browser_verdict.mjs';
import { checkAnchor } from './anchor.mjs';
import { archive } from './tar.mjs';
import { askedBy } from './flags.mjs';
import { hex, sha256 } from './hash.mjs';
import { Rows } from './rows.mjs';
import { Findings, Unjudged, verify } from './verify.mjs';

// SCRIPT is what runs here, as its text stands in the page.
const SCRIPT = document.currentScript?.textContent;

const PAGE = 2 ** 27; // the longest page that is read as text
const LONGEST = 2 ** 24; // the longest file that a pack is held to

// What is judged, and what it is held to: flags as of the command line, each a text or an entry.
const state = { pack: null, flags: new Map(), switches: [], turn: 0 };

// judged shows what a question comes to. Of two that are asked at once the later one is shown, and until then neither.
async function judged(ask) {
  const turn = ++state.turn;
  busy(true);
  showRows();
  showNothing('checking', 'this takes a moment');
  await new Promise((done) => setTimeout(done)); // the words are drawn first
  let show;
  try {
    await ask();
    show = await verdict();
  } catch (err) {
    show = () => showNothing('nothing was judged', `exit ${err instanceof Unjudged ? err.exit ?? 3 : 70}: ${err.message}`);
  }
  if (turn !== state.turn) return;
  show();
  tellAsked();
  busy(false);
}

const busy = (is) => byId('outcome').setAttribute('aria-busy', String(is));

// verdict gives what shows it.
async function verdict() {
  const { asked } = await askedBy(['pack', ...argsOf()], (name) => state.flags.get(name) ?? null);
  if (!state.pack && asked.proof) return ofProof(asked);
  if (!state.pack) return () => showNothing('nothing was checked', loose() ? 'there is a proof, and no policy to check it by' : 'there is no pack yet');
  const rows = new Rows(), v = await verify(packWithProof(), { ...asked, each: (receipt) => rows.add(receipt) });
  return () => (showVerdict(v), showRows(v.intact ? rows : undefined)); // ROW-1
}

// ofProof judges a proof that stands alone.
async function ofProof(asked) {
  const out = new Findings(), notChecked = [], anchor = await checkAnchor({}, { out, alone: true }, asked, notChecked);
  return () => showProof({ out, notChecked, anchor, channels: { anchor: anchor.word } });
}

// A proof that was given without a policy cannot be checked. It is told of as if it were in the pack.
const loose = () => state.flags.has('--proof') && !state.flags.has('--policy');

function packWithProof() {
  const { pack } = state;
  if (!loose() || pack.unsigned?.kind) return pack;
  return { ...pack, unsigned: new Map([...(pack.unsigned ?? []), ['anchor.tlog-proof', state.flags.get('--proof')]]) };
}

// argsOf spells the flags; a file is named by its flag, the second one of a flag --flag.2.
function argsOf() {
  const signers = byId('signer').value.split(/[\s,]+/).filter(Boolean).flatMap((key) => ['--trusted-signer', key]);
  const switches = [...document.querySelectorAll('input[type=checkbox][name]')].filter((box) => box.checked).map((box) => box.name);
  const files = [...state.flags.keys()].filter((name) => name !== '--proof' || !loose()).flatMap((name) => [name.split('.')[0], name]);
  return [...state.switches, ...files, ...signers, ...switches];
}

// take adds what was dropped or chosen: a pack takes the place of the one before and of its proof. If something cannot
// be read, nothing is left to judge.
const take = (listing) => judged(async () => {
  const before = state.pack;
  state.pack = null;
  const { pack, flags, page } = await sorted(await listing);
  const held = page ? heldInText(await textOf(page)) : null;
  if (!pack && !held && flags.size === 0) throw new Unjudged('none of these files is one of a pack, or of what a pack is held to');
  if (pack || held) state.flags.delete('--proof');
  if (held?.files.has('--proof')) state.flags.set('--proof', held.files.get('--proof')); // but nothing that says whom to trust
  for (const [flag, file] of flags) state.flags.set(flag, await entryOf(file, file.name, LONGEST));
  state.pack = pack ?? held?.pack ?? before;
});

async function textOf(page) {
  if (page.size > PAGE) throw new Unjudged('a page that is too large');
  return page.text();
}

// tellAsked lists what the pack is held to.
function tellAsked() {
  fill('asked', ...argsOf().filter((arg, i, all) => arg !== all[i - 1]).map((arg) => element('li', { class: 'mono' }, said(arg))));
}

function listen() {
  const drop = byId('drop');
  addEventListener('dragover', (event) => (event.preventDefault(), drop.classList.add('over')));
  addEventListener('dragleave', () => drop.classList.remove('over'));
  addEventListener('drop', (event) => (event.preventDefault(), drop.classList.remove('over'), take(foundIn(event.dataTransfer))));
  for (const id of ['folder', 'files']) byId(id).addEventListener('change', (event) => take(chosenIn(event.target)));
  for (const input of document.querySelectorAll('input[type=file][name]')) {
    input.addEventListener('change', () => judged(async () => {
      state.flags.delete(input.name);
      for (const file of input.files) state.flags.set(input.name, await entryOf(file, file.name, LONGEST));
    }));
  }
  for (const box of document.querySelectorAll('input[type=checkbox][name], #signer')) box.addEventListener('change', () => judged(() => {}));
}

async function start() {
  listen();
  listenToRows();
  const held = heldIn(document);
  if (held) {
    state.pack = held.pack;
    state.flags = held.files;
    state.switches = held.args;
    for (const part of document.querySelectorAll('[data-holds]')) part.hidden = false;
    byId('save').href = URL.createObjectURL(archive(packIn(held)));
    byId('save').parentElement.hidden = false;
  }
  await judged(() => {});
  if (SCRIPT) byId('script').textContent = hex(await sha256(new TextEncoder().encode(SCRIPT)));
}

start();
