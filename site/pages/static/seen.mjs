// What to say of a checkpoint: who signed it, how old it is, and how it compares with what this browser saw before.
import { ago, count, element, entries, instant } from './dom.mjs';
import { holds } from '../verifier/notes.mjs';

// newest is the time of the newest cosignature, null without one.
export const newest = ({ cosigned }) => cosigned.reduce((last, { time }) => (last === null || time > last ? time : last), null);

// quorumTime is the latest time from which on enough witnesses cosigned, null without cosignatures: one witness, whose clock
// may say anything, makes no old state new.
export function quorumTime({ cosigned }, policy) {
  const enough = (since) => holds(policy, policy.quorum, { has: (witness) => cosigned.some(({ called, time }) => called === witness.called && time >= since) });
  return cosigned.reduce((last, { time }) => ((last === null || time > last) && enough(time) ? time : last), null);
}

// signers says whose signatures a checkpoint has, as far as the policy counts them.
export function signers({ checkpoint }) {
  const names = checkpoint.cosigned.map(({ called }) => called).join(', ');
  return names === '' ? 'the log alone' : `the log and ${names}`;
}

// signedBy says who stands behind a checkpoint.
export function signedBy(log) {
  const alone = log.checkpoint.cosigned.length === 0 ? ', and no witness cosigned it: its operator can show others another book' : '';
  return `The state at ${entries(log.checkpoint.size)} is signed by ${signers(log)}${alone}. That is enough for ${
    log.own ? 'your policy' : 'the policy of this site, which is its own word'}.`;
}

// STALE is how long the cosignatures may be ago before a page speaks of it, AHEAD how far they may be before this device's clock.
const STALE = 3n * 86400n, AHEAD = 300n;

// warnings gives what a reader must know of the state of a log before its entries, as { kind, head, text, files }: 'bad' if
// nothing under it may be relied on, 'unchecked' if something could not be told, 'note' of what takes nothing from a proof.
export function warnings(log) {
  const { named, own, keys } = log;
  return [...warningsOfKeys(log), ...(named.length > 1 ? [{
    kind: 'unchecked', head: `${named.length} keys of one log.`,
    text: `${own ? 'Your policy' : 'The policy of this site'} names ${named.length} keys under the name of this log, and each of them alone is believed. What is shown below was signed with ${keys.join(' and ')}. Find out whose it is.`,
  }] : []), ...warningsOfMemory(log), ...warningsOfTime(log)];
}

function warningsOfKeys({ was, keys, policyDigest }) {
  if (!was) return [];
  if (was.damaged) return [{ kind: 'unchecked', head: 'Not compared with what you have seen.', text: 'What this browser remembered of this site’s keys cannot be read: something else changed it. This is not your first visit, and whether the keys are those of then cannot be told.' }];
  const day = was.at.slice(0, 10);
  if (was.otherKeys) {
    return [{ kind: 'bad', head: 'Another log.', text: `On ${day} this site’s log signed with the key ${was.keys.join(' and ')}; what is shown now is signed with ${keys.join(' and ')}. What is proved below is proved of the new one. Find out from elsewhere which is the right one.` }];
  }
  return [{ kind: 'unchecked', head: 'Another policy.', text: `On ${day} the policy of this site had the SHA-256 ${was.policy}; now it has ${policyDigest}. The key of the log is the same, but who must have cosigned may be others. Compare the policy with one from elsewhere; one of your own, below, ends this warning.` }];
}

function warningsOfMemory({ checkpoint, seen, note }) {
  const day = seen.before?.at.slice(0, 10);
  const files = () => [['The state of then', 'checkpoint-then', new TextEncoder().encode(seen.before.note)], ['The state shown now', 'checkpoint-now', note]];
  switch (seen.kind) {
    case 'forked':
      return [{ kind: 'bad', head: 'Two books under one name.', text: `On ${day} this browser verified another state of ${entries(seen.size)}. One key of the log signed both. Keep both files and publish them: together they prove that this ledger showed two histories.`, files: files() }];
    case 'broken':
      return [{ kind: 'bad', head: 'Not shown to continue.', text: `On ${day} this browser verified a state of ${entries(seen.size)}. The files of this site do not lead from it to the one shown now${seen.why ? ` (${seen.why})` : ''}: either they are wrong, or the log has two histories. Keep both states, and check the log from elsewhere.`, files: files() }];
    case 'older':
      return [{ kind: 'unchecked', head: 'Older than what you have seen.', text: `On ${day} this browser verified a state with ${entries(seen.size)}; this one has ${count(checkpoint.size)}. Whether that one continues this one was not checked: the files for it are not here. A copy of the site may lag for some minutes; one that stays behind is holding entries back.`, files: files() }];
    case 'damaged':
      return [{ kind: 'unchecked', head: 'Not compared with what you have seen.', text: 'What this browser remembered of this log is not signed with its key: something else changed it. This is not your first visit, and whether this state continues the one of then cannot be told.' }];
    case 'unchecked':
      return [{ kind: 'unchecked', head: 'Not compared with what you have seen.', text: `Whether this state continues the one of ${day} could not be checked: ${seen.why}.` }];
    default:
      return [];
  }
}

function warningsOfTime({ checkpoint, policy }) {
  const time = quorumTime(checkpoint, policy), now = BigInt(Math.floor(Date.now() / 1000)), last = newest(checkpoint);
  if (last !== null && last > now + AHEAD) {
    return [{ kind: 'unchecked', head: 'From the future.', text: `A cosignature of this state is of ${instant(last)}, and this device’s clock says ${instant(now)}. One of the clocks is wrong, so how new the state is cannot be told.` }];
  }
  if (time !== null && now - time > STALE) {
    return [{ kind: 'note', head: 'Not new.', text: `Enough witnesses cosigned this state at ${instant(time)}, ${ago(time)}. What was logged since then does not show here.` }];
  }
  return [];
}

// standing says how what is proved of a log may be shown: 'good' only if the reader said whose signatures count, and nothing
// speaks against it; 'said' if it rests on this site's own word for that.
export function standing(log) {
  const kinds = warnings(log).map(({ kind }) => kind);
  return ['bad', 'unchecked'].find((kind) => kinds.includes(kind)) ?? (log.own ? 'good' : 'said');
}

// whichLog says in which log something was proved to be.
export function whichLog(log) {
  return {
    good: 'in the log', said: 'in the log that this site names (its own word)', unchecked: 'in the state that is shown here, which is in question: see above',
    bad: 'in the state that is shown here, on which nobody should rely: see above',
  }[standing(log)];
}

// remembered says how a state compares with what was seen before, as [kind, text].
export function remembered({ seen }) {
  const { kind, size, before, kept = true } = seen, day = before?.at.slice(0, 10);
  return {
    first: ['unchecked', 'You are here for the first time, so there was nothing to compare this state with. This browser remembers it for the next time.'],
    nowhere: ['unchecked', 'This browser remembers nothing for this page (its storage is blocked or full), so there was nothing to compare this state with, and there will not be the next time.'],
    same: ['good', 'It is the state that this browser verified before.'],
    grown: ['good', `It continues the state of ${entries(size ?? 0)} that this browser verified on ${day}: nothing was changed or taken out.${kept ? '' : ' This one could not be remembered: this browser’s storage is blocked or full.'}`],
    older: ['unchecked', 'It is older than a state that this browser verified before. Whether that one continues it was not checked.'],
    forked: ['bad', 'It is another state than the one of this size that this browser verified before.'],
    broken: ['bad', 'It was not shown to continue the state that this browser verified before.'],
    unchecked: ['unchecked', 'It could not be compared with the state that this browser verified before.'],
    damaged: ['unchecked', 'It could not be compared: what this browser remembered was changed by something else.'],
  }[kind];
}

// showWarnings puts them above a place.
export function showWarnings(place, log) {
  for (const { kind, head, text, files = [] } of warnings(log)) {
    const buttons = files.map(([name, file, bytes]) => element('a', {
      class: 'button plain', download: file, href: URL.createObjectURL(new Blob([bytes], { type: 'text/plain' })),
    }, name));
    place.before(element('aside', { class: kind === 'note' ? 'note' : 'note alarm', 'data-warning': kind }, element('p', {}, element('strong', {}, head), ` ${text}`),
      buttons.length > 0 ? element('p', { class: 'buttons' }, ...buttons) : null));
  }
}
