// Step 6: the report agrees with the manifest: docs/spec/verify.md §9.
import { HC } from './hash.mjs';
import { object } from './json.mjs';
import { count } from './form.mjs';
import { equals, isObject, truth } from './values.mjs';
import { fingerprintOf, verdictOf } from './results.mjs';

const list = Array.isArray;
const text = (v) => typeof v === 'string';
const texts = (v) => list(v) && v.every(text);
const isCount = (v, n) => count(v) && v.value === n;

// WORDS are what a builder writes for each attested claim_check.
const WORDS = { PASS: 'PASS', FAIL: 'HONEST_FAIL', 'N/A': 'NOT_EVALUATED' };
const ALL_UNPROVED = ['output_correctness', 'output_safety', 'business_policy_fitness', 'legal_compliance',
  'instrumentation_completeness', 'signer_authority_beyond_configured_trust'];
const VERIFIERS = ['command', 'status', 'exit_code', 'path', 'channels', 'claim_check_is', 'claims_reexecuted', 'signer',
  'anchor', 'manifest_sha256', 'cards', 'claims_can_fail', 'max_age_hours', 'gaps', 'claim_gate', 'lock_errors', 'coverage',
  'expiry_status', 'expectation_results', 'findings', 'artifacts', 'trust', 'trust_gate', 'witness_errors', 'witness_sufficiency'];

// Agreement compares one report with the manifest it was written for.
class Agreement {
  constructor(manifest, report, told, out) {
    Object.assign(this, { manifest, report, told, out, a: manifest.get('attestation') });
    this.check = this.a.get('claim_check');
    this.word = WORDS[this.check];
    this.integrity = this.a.get('receipt_integrity') === 'PASS' ? 'PASS' : 'TAMPERED';
    this.claims = this.check !== 'N/A';
  }

  must(holds, path, message) {
    if (!holds) this.out.error('E_MANIFEST_TAMPER', `verify_report.${path}`, message ?? 'not what follows from the manifest');
  }

  // says checks members of an object, where they are there, against the values that they must have.
  says(from, prefix, values) {
    for (const [name, value] of Object.entries(values)) {
      if (from.has(name)) this.must(equals(from.get(name), value), prefix + name);
    }
  }

  // required: VFY-24.
  required() {
    const { a, report } = this, n = a.get('n_receipts');
    const values = {
      pack_id: a.get('pack_id'), run_id: a.get('run_id'), passed: a.get('receipt_integrity') === 'PASS',
      head_hash: n.value === 0n && report.get('head_hash') === null ? null : a.get('head_hash'),
    };
    for (const [name, value] of Object.entries(values)) {
      const v = report.get(name);
      this.must(v === value, name);
    }
    this.must(isCount(report.get('receipt_count'), n.value), 'receipt_count');
  }

  // claimResults: VFY-25 to VFY-27.
  claimResults() {
    const told = this.report.get('claim_verification') ?? null;
    this.must((told !== null) === this.claims, 'claim_verification', 'there exactly if claims were evaluated');
    if (told === null) return;
    const { results } = this.told, passed = results.filter((r) => r.passed).length;
    const members = isObject(told) ? told : new Map();
    const counts = { n_claims: results.length, n_passed: passed, n_failed: results.length - passed };
    for (const [name, n] of Object.entries(counts)) this.must(isCount(members.get(name), BigInt(n)), `claim_verification.${name}`);
    this.must(members.get('passed') === (this.check === 'PASS'), 'claim_verification.passed');
    this.must(verdictOf(results) === this.check, 'claim_verification.results', 'they do not give claim_check');
    const attested = this.a.get('discrepancy_fingerprint') ?? null;
    this.must((members.get('discrepancy_fingerprint') ?? null) === attested && fingerprintOf(this.a, results) === attested,
      'claim_verification.discrepancy_fingerprint');
  }

  // types: VFY-28 and VFY-29.
  types() {
    const { report } = this;
    const is = (name, v, holds) => v === undefined || this.must(holds(v), name, 'of another type');
    for (const name of ['verifier', 'expectations', 'summary', 'scope']) is(name, report.get(name), isObject);
    is('claim_verification', report.get('claim_verification'), (v) => v === null || isObject(v));
    for (const name of ['evidence_refs', 'checks', 'stages']) is(name, report.get(name), (v) => list(v) && v.every(isObject));
    is('warnings', report.get('warnings'), texts);
    for (const item of this.items('checks')) for (const n of ['name', 'verdict']) is(`checks.${n}`, item.get(n), text);
    for (const item of this.items('stages')) for (const n of ['stage', 'status']) is(`stages.${n}`, item.get(n), text);
    for (const [name, v] of this.members('summary')) is(`summary.${name}`, v, text);
    const scope = report.get('scope');
    if (isObject(scope)) {
      for (const name of ['proves', 'does_not_prove']) is(`scope.${name}`, scope.get(name), texts);
      for (const name of scope.keys()) {
        const known = ['schema', 'channels', 'extensions', 'proves', 'does_not_prove', 'note'].includes(name);
        this.must(known, `scope.${name}`, 'a member that is not known');
      }
    }
    const told = report.get('claim_verification');
    if (!isObject(told)) return;
    is('claim_verification.results', told.get('results'), list);
    for (const r of this.told.results) {
      const ids = r.evidence_receipt_ids;
      this.must(ids === null || list(ids), 'claim_verification.results', 'evidence_receipt_ids is no list');
    }
  }

  // items are those of a list, one that is no object having no members; no index of one stands in the field of a finding.
  items(name) {
    const v = this.report.get(name);
    return list(v) ? v.map((item) => (isObject(item) ? item : new Map())) : [];
  }

  members(name) {
    const v = this.report.get(name);
    return isObject(v) ? [...v] : [];
  }

  // words: VFY-30 and VFY-31.
  words() {
    for (const name of VERIFIERS) this.must(!this.report.has(name), name, 'only a verifier writes this');
    const told = this.report.get('claim_verification');
    for (const name of ['reexecuted', 'verdict']) {
      this.must(!(isObject(told) && told.has(name)), `claim_verification.${name}`, 'only a verifier writes this');
    }
    this.says(this.report, '', {
      claim_check: this.check, verdict: this.check === 'FAIL' ? 'HONEST_FAIL' : 'PASS', superseded_by: this.a.get('superseded_by') ?? null,
    });
  }

  // derived: VFY-32.
  derived() {
    const { report, manifest, a, claims } = this, failed = this.check === 'FAIL';
    const optional = claims ? ['replay', 'trust'] : ['claim', 'replay', 'trust'];
    this.says(report, '', {
      pack_root_sha256: manifest.get('attestation_sha256'), pack_manifest_sha256: null, integrity_verdict: this.integrity,
      claim_verdict: this.word, replay_verdict: 'NOT_RUN', trust_verdict: 'NOT_EVALUATED',
      evaluation_profile: claims ? 'integrity_claim_required' : 'integrity_required',
      required_channels: claims ? ['integrity', 'claim'] : ['integrity'], optional_channels: optional,
      unevaluated_channels: optional, overall_verdict: failed ? 'HONEST_FAIL' : 'PASS',
      overall_reason: failed ? 'claim_verdict=HONEST_FAIL'
        : `required_channels_passed; optional_channels_not_evaluated=${optional.join(',')}`,
      blocking_channel: failed ? 'claim' : null, verification_inputs_sha256: manifest.get('attestation_sha256'),
      verifier_version: a.get('verifier_version'), errors: [], failure_mechanisms: new Map(),
    });
    const verifier = report.get('verifier'), expected = report.get('expectations');
    if (isObject(verifier)) this.says(verifier, 'verifier.', { version: a.get('verifier_version') });
    if (isObject(expected)) {
      this.says(expected, '', {
        policy_sha256: a.get('policy_hash'), claim_set_id: a.get('claim_set_id'), claim_set_hash: a.get('claim_set_hash'),
      });
    }
  }

  // identity: VFY-33 and VFY-34.
  identity() {
    const { report } = this;
    if (report.has('report_id')) {
      const verifier = report.get('verifier');
      const v = object({
        pack_root_sha256: this.manifest.get('attestation_sha256'), verified_at: report.get('verified_at') ?? '', integrity_verdict: 'PASS',
        claim_verdict: this.word, replay_verdict: 'NOT_RUN', trust_verdict: 'NOT_EVALUATED',
        verifier_version: (isObject(verifier) && verifier.get('version')) || '',
      });
      this.must(report.get('report_id') === `vr_${HC(v).slice(0, 20)}`, 'report_id');
    }
    const provenance = report.get('provenance');
    if (provenance !== undefined && provenance !== null && !(isObject(provenance) && provenance.size === 0)) {
      this.must(equals(provenance, this.a.get('ci_binding') ?? null), 'provenance');
    }
  }

  // evidence: VFY-35.
  evidence() {
    const receipts = this.manifest.get('files').find((f) => f.get('path') === 'receipt_pack.jsonl')?.get('sha256');
    for (const ref of this.items('evidence_refs')) {
      const [kind, path, sum] = ['kind', 'path', 'sha256'].map((name) => ref.get(name) ?? null);
      if (kind === 'pack_manifest') this.must(path === 'pack_manifest.json' && sum === null, 'evidence_refs');
      else {
        this.must(kind === 'receipt_pack' && path === 'receipt_pack.jsonl', 'evidence_refs');
        if (kind === 'receipt_pack' && sum !== receipts) {
          this.out.warn('W_REPORT', 'verify_report.evidence_refs', 'the report names the digest of other receipts');
        }
      }
    }
  }

  // parts: VFY-36 and VFY-37.
  parts() {
    for (const check of this.items('checks')) {
      this.must(this.checkWords(String(check.get('name')).toLowerCase()).includes(check.get('verdict')), 'checks');
    }
    for (const stage of this.items('stages')) {
      const status = ['ok', 'skipped', '', undefined].includes(stage.get('status'));
      this.must(status && (!stage.has('passed') || truth(stage.get('passed'))), 'stages');
    }
  }

  checkWords(name) {
    if (['claim_check', 'claim', 'claims'].includes(name)) return [this.word];
    if (name === 'replay') return ['NOT_RUN'];
    if (['trust', 'signer', 'anchor', 'lock', 'expectations', 'coverage'].includes(name)) return ['NOT_EVALUATED'];
    return ['PASS', 'NOT_EVALUATED', 'NOT_RUN'];
  }

  // sentences: VFY-38.
  sentences() {
    const right = { claim: this.word, replay: 'NOT_RUN', trust: 'NOT_EVALUATED' };
    for (const [name, sentence] of this.members('summary')) {
      const meaning = text(sentence) ? SENTENCES.get(plain(sentence)) : undefined;
      if (meaning) this.must(meaning === `${name} ${right[name] ?? 'PASS'}`, `summary.${name}`, 'a sentence of another verdict');
    }
  }

  // scope: VFY-39.
  scope() {
    const given = this.report.get('scope') ?? null, scope = isObject(given) ? given : new Map();
    if (given === null) return;
    const channels = object({
      integrity: 'ran', claim: this.claims ? 'ran' : 'not_evaluated', replay: 'not_run', trust: 'not_evaluated',
    });
    this.must(equals(scope.get('channels') ?? null, channels), 'scope.channels');
    const provable = ['pack_integrity', 'signature_validity', 'receipt_sequence_integrity'];
    if (this.claims) provable.push('claim_set_evaluated');
    if (this.check === 'PASS') provable.push('claim_set_satisfied');
    for (const word of list(scope.get('proves')) ? scope.get('proves') : []) this.must(provable.includes(word), 'scope.proves');
    const unproved = scope.get('does_not_prove');
    for (const word of ALL_UNPROVED) this.must(list(unproved) && unproved.includes(word), 'scope.does_not_prove', `without ${word}`);
  }
}

const plain = (sentence) => sentence.toLowerCase().trim().replace(/\s+/g, ' ').replace(/[.! ]+$/, '');

const SENTENCES = new Map([
  ['Manifest, file hashes, and signatures verified.', 'integrity PASS'],
  ['Evidence object integrity failed.', 'integrity TAMPERED'],
  ['The pack is not what was signed.', 'integrity TAMPERED'],
  ['Evidence satisfied the evaluated claim set.', 'claim PASS'],
  ['The receipts satisfy the claim set.', 'claim PASS'],
  ['The claims were executed again, and the evidence satisfies them.', 'claim PASS'],
  ['Evidence was intact but did not satisfy the claim set.', 'claim HONEST_FAIL'],
  ['The receipts do not satisfy the claim set.', 'claim HONEST_FAIL'],
  ['The evidence does not satisfy the claims.', 'claim HONEST_FAIL'],
  ['No claim set was evaluated.', 'claim NOT_EVALUATED'],
  ['No claims were executed.', 'claim NOT_EVALUATED'],
  ['Replay matched prior trace.', 'replay MATCH'],
  ['Replay diverged from prior trace.', 'replay DIVERGE'],
  ['Replay was not run.', 'replay NOT_RUN'],
  ['Signer and policy trust checks passed.', 'trust PASS'],
  ['The key that signed is one of those that may.', 'trust PASS'],
  ['Signer or workflow trust checks failed.', 'trust UNTRUSTED'],
  ['The key that signed is none of those that may.', 'trust UNTRUSTED'],
  ['Trust policy was not evaluated.', 'trust NOT_EVALUATED'],
].map(([sentence, meaning]) => [plain(sentence), meaning]));

// checkReport compares a report that is an object with the manifest; told is what readResults gave.
export function checkReport(manifest, report, told, out) {
  const agreement = new Agreement(manifest, report, told, out);
  agreement.required();
  agreement.claimResults();
  agreement.types();
  agreement.words();
  agreement.derived();
  agreement.identity();
  agreement.evidence();
  agreement.parts();
  agreement.sentences();
  agreement.scope();
}
