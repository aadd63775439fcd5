// What the test asks of the verifier in a page: judge(args, pack, files) gives the exit code and what is said.
import { askedBy } from './flags.mjs';
import { told } from './told.mjs';
import { channelsOf, sentenceOf } from './words.mjs';
import { Unjudged, verify } from './verify.mjs';

// entryOf gives an entry of a verifier for one of the test: { kind, base64 }.
const entryOf = ({ kind, base64 }) => (kind === 'file' ? { kind, bytes: Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)) } : { kind });
const mapOf = (object) => new Map(Object.entries(object).map(([name, entry]) => [name, entryOf(entry)]));

globalThis.judge = async (args, pack, files) => {
  const given = mapOf(files);
  try {
    const { asked } = await askedBy(['pack', ...args], (name) => given.get(name) ?? null);
    if (!pack) throw new Unjudged('there is no pack');
    const unsigned = pack.unsigned_kind ? { kind: pack.unsigned_kind } : mapOf(pack.unsigned);
    const started = performance.now(), v = await verify({ files: mapOf(pack.files), unsigned, extra: pack.extra }, asked);
    const shown = channelsOf(v).map((c) => `${c.label.padEnd(10)} ${c.word}  ${c.text}`);
    return { exit: v.exit, said: told('pack', v), shown: [...shown, `verdict    exit ${v.exit}: ${sentenceOf(v)}`], ms: performance.now() - started };
  } catch (err) {
    return { exit: err instanceof Unjudged ? err.exit ?? 3 : 70, said: { error: String(err.stack) } };
  }
};
