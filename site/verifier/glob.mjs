// Names with * ? [ that a shell has not expanded: docs/spec/verify.md §18.
import fs from 'node:fs';
import path from 'node:path';

const META = /[*?[\\]/;

// partOf gives the expression of a part of a pattern between slashes, null if it is none.
function partOf(part) {
  let out = '';
  for (let i = 0; i < part.length; i++) {
    const c = part[i];
    if (c === '*') out += '[^/]*';
    else if (c === '?') out += '[^/]';
    else if (c === '\\' && i + 1 === part.length) return null;
    else if (c === '\\') out += quoted(part[++i]);
    else if (c !== '[') out += quoted(c);
    else {
      const m = /^\[(\^?)((?:\\.|[^\]\\])+)\]/su.exec(part.slice(i));
      if (!m) return null;
      out += `[${m[1]}${m[2].replace(/\\.|[[^]/gsu, (x) => (x.length > 1 ? x : `\\${x}`))}]`;
      i += m[0].length - 1;
    }
  }
  try {
    return new RegExp(`^${out}$`, 'su');
  } catch {
    return null;
  }
}

const quoted = (c) => c.replace(/[.*+?^${}()|[\]\\/]/, '\\$&');

// namesOf gives the names of files that a pattern matches, sorted; a part without a sign of one must be there as it is.
export function namesOf(pattern) {
  let found = [pattern.startsWith('/') ? '/' : ''];
  const parts = pattern.split('/').filter((part) => part !== '');
  for (const part of parts) {
    if (!META.test(part)) {
      found = found.map((dir) => path.join(dir, part)).filter((name) => fs.existsSync(name));
      continue;
    }
    const expression = partOf(part);
    if (expression === null) return [];
    found = found.flatMap((dir) => listed(dir).filter((name) => expression.test(name)).map((name) => path.join(dir, name)));
  }
  return pattern.endsWith('/') ? found.filter((name) => fs.statSync(name).isDirectory()) : found;
}

function listed(dir) {
  try {
    return fs.readdirSync(dir || '.').sort();
  } catch {
    return [];
  }
}
