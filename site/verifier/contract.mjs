// The coverage contract, and how many of its call sites receipts name: docs/spec/claims.md §7.
import { byPoints } from './json.mjs';
import { HC } from './hash.mjs';
import { count, hex64, identifier, one, orNull, tableProblems, text } from './form.mjs';

const SITE = {
  callsite_id: identifier, path: text, line: count, call: text,
  confidence: one('high', 'medium', 'low'), instrumented: (v) => typeof v === 'boolean', 'framework?': orNull(text),
};

const CONTRACT = {
  contract_version: one('1.0'), generated_at: text, generated_by: text, project_root: text, call_sites: Array.isArray,
  summary: { total_sites: count, high: count, medium: count, low: count }, contract_hash: hex64,
};

const MOST_EXTRA = 1000; // ids that only receipts name

// readContract gives { contract }, or { problem } and whether it was altered (CLM-25).
export function readContract(v) {
  const [problem] = tableProblems(v, CONTRACT, 'contract');
  if (problem) return { problem };
  const sites = v.get('call_sites');
  for (const site of sites) {
    const [wrong] = tableProblems(site, SITE, 'call_sites');
    if (wrong) return { problem: wrong };
  }
  if (HC(sites) !== v.get('contract_hash')) return { problem: 'another hash than that of its call sites', altered: true };
  if (v.get('summary').get('total_sites').value !== BigInt(sites.length)) return { problem: 'another number of call sites', altered: true };
  return { contract: { hash: v.get('contract_hash'), ids: new Set(sites.map((site) => site.get('callsite_id'))) } };
}

// Sites is shown every receipt of a pack.
export class Sites {
  constructor(contract) {
    Object.assign(this, { ids: contract.ids, named: new Set(), extra: new Set(), complete: true });
  }

  see(receipt) {
    const id = receipt.get('callsite_id');
    if (typeof id !== 'string') return;
    if (this.ids.has(id)) this.named.add(id);
    else if (!this.extra.has(id)) this.#more(id);
  }

  #more(id) {
    if (this.extra.size < MOST_EXTRA && new TextEncoder().encode(id).length <= 256) this.extra.add(id);
    else this.complete = false;
  }

  // result is what came of it: the share of CLM-26, and the sites.
  result() {
    const sorted = (ids) => [...ids].sort(byPoints), all = this.ids.size;
    const covered = sorted(this.named), uncovered = sorted([...this.ids].filter((id) => !this.named.has(id)));
    return { share: all === 0 ? 1 : covered.length / all, covered, uncovered, extra: sorted(this.extra), complete: this.complete, all };
  }
}

// percent spells a share (claims.md §4.1): a half of 100·x goes to the even number.
export function percent(x) {
  const value = 100 * x, below = Math.floor(value), half = value - below;
  return `${half > 0.5 || (half === 0.5 && below % 2 !== 0) ? below + 1 : below}%`;
}
