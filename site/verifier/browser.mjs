// The page: what is dropped or chosen on it, or what it holds, is judged here, and nothing of it leaves.
import { chosenIn, entryOf, foundIn, sorted } from './browser_files.mjs';
import { heldIn, heldInText } from './browser_held.mjs';
import { byId, element, fill, said } from './browser_dom.mjs';
import { listenToRows, showRows } from './browser_rows.mjs';
import { showNothing, showVerdict } from './browser_verdict.mjs';
import { askedBy } from './flags.mjs';
import { hex, sha256 } from './hash.mjs';
import { Unjudged, verify } from './verify.mjs';

// SCRIPT is what runs here, as its text stands in the page.
const SCRIPT = document.currentScript?.textContent;

const PAGE = 2 ** 27; // the longest page that is read as text

// What is judged, and what it is held to: flags as of the command line, each a text or an entry.
const state = { pack: null, flags: new Map(), switches: [], turn: 0 };

// judge shows the verdict. Of two that are asked for at once the later one is shown.
async function judge() {
  const turn = ++state.turn;
  showRows([]);
  if (!state.pack) return showNothing('nothing was checked', 'there is no pack yet');
  showNothing('checking', 'this takes a moment');
  await new Promise((done) => setTimeout(done)); // the words are drawn first
  try {
    const { asked } = await askedBy(['pack', ...argsOf()], (name) => state.flags.get(name) ?? null);
    const v = await verify(packWithProof(), asked);
    if (turn !== state.turn) return undefined;
    showVerdict(v);
    if (v.intact) showRows(v.reading.receipts);
  } catch (err) {
    if (turn === state.turn) showNothing('nothing was judged', `exit ${err instanceof Unjudged ? err.exit ?? 3 : 70}: ${err.message}`);
  }
  return undefined;
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

// take adds what was dropped or chosen. A failure is told, and leaves nothing to judge.
async function take(listed) {
  try {
    const { pack, flags, page } = await sorted(await listed);
    if (page) takePage(await page.slice(0, PAGE + 1).text());
    if (pack) state.pack = pack;
    for (const [flag, file] of flags) state.flags.set(flag, await entryOf(file, file.name, 2 ** 24));
    if (!pack && !page && flags.size === 0) throw new Unjudged('none of these files is one of a pack, or of what a pack is held to');
    await judge();
  } catch (err) {
    state.pack = null;
    state.turn++;
    showRows([]);
    showNothing('nothing was judged', err.message);
  }
  tellAsked();
}

// takePage takes the pack and the proof out of a page of "assay page". Whom to trust is not asked of it.
function takePage(text) {
  if (text.length > PAGE) throw new Unjudged('a page that is too large');
  const held = heldInText(text);
  state.pack = held.pack;
  if (held.files.has('--proof')) state.flags.set('--proof', held.files.get('--proof'));
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
    input.addEventListener('change', async () => {
      state.flags.delete(input.name);
      for (const file of input.files) state.flags.set(input.name, await entryOf(file, file.name, 2 ** 24));
      again();
    });
  }
  for (const box of document.querySelectorAll('input[type=checkbox][name], #signer')) box.addEventListener('change', again);
}

const again = () => (tellAsked(), judge());

async function start() {
  listen();
  listenToRows();
  const held = heldIn(document);
  if (held) {
    state.pack = held.pack;
    state.flags = held.files;
    state.switches = held.args;
    byId('holds').hidden = false;
  }
  tellAsked();
  await judge();
  if (SCRIPT) byId('script').textContent = hex(await sha256(new TextEncoder().encode(SCRIPT)));
}

start();
