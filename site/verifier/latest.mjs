// The newest pack of a directory: docs/spec/verify.md §18, VFY-90.
import fs from 'node:fs';
import path from 'node:path';
import { readPack } from './files.mjs';
import { FILES } from './manifest.mjs';
import { instant } from './time.mjs';
import { Unjudged, judgeManifest } from './verify.mjs';

// newestIn gives the newest pack of a directory, or all that cannot be dated: whoever damages the newest one must not
// choose the one that is judged instead.
export async function newestIn(dir) {
  let names;
  try {
    names = fs.readdirSync(dir).sort();
  } catch (err) {
    throw new Unjudged(`cannot read the directory ${dir}: ${err.code}`);
  }
  const packs = names.filter((name) => !name.startsWith('.')).map((name) => path.join(dir, name)).filter(isPack);
  if (packs.length === 0) throw new Unjudged(`there is no pack in ${dir}`);
  const dated = await Promise.all(packs.map(async (pack) => ({ pack, date: await dateOf(pack) })));
  const undated = dated.filter(({ date }) => date === null);
  if (undated.length > 0) return undated.map(({ pack }) => pack);
  return [dated.reduce((a, b) => (b.date >= a.date ? b : a)).pack];
}

// isPack tells whether a name counts as a pack; so does what cannot be looked at.
function isPack(name) {
  try {
    if (!fs.statSync(name).isDirectory()) return false;
    return path.basename(name).startsWith('proof_pack_') || fs.readdirSync(name).some((inside) => [...FILES, '_unsigned'].includes(inside));
  } catch (err) {
    return err.code !== 'ENOENT' || fs.lstatSync(name, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  }
}

// dateOf gives the later of the times that a manifest names, null if it does not verify by itself.
async function dateOf(name) {
  let pack;
  try {
    pack = readPack(name);
    const manifest = await judgeManifest(pack);
    if (manifest === null) return null;
    const end = instant(manifest.get('attestation').get('timestamp_end')), named = timeIn(manifest.get('pack_id'));
    return named !== null && named > end ? named : end;
  } catch (err) {
    if (err instanceof Unjudged) return null;
    throw err;
  } finally {
    pack?.close();
  }
}

function timeIn(id) {
  const m = /^pack_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)_/.exec(id);
  return m && instant(`${m[1]}-${m[2]}-${m[3]}T${m[4]}:${m[5]}:${m[6]}Z`);
}
