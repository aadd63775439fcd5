// The six built-in cards: docs/spec/claims.md §3. The descriptions of their claims are input of the hashes.
import { bytesOf, parse } from './json.mjs';

const TEXT = `[
{"card_id":"guardian_enforcement","name":"Guardian Enforcement","claims":[
 {"claim_id":"guardian_verdict_present","description":"At least one guardian_verdict receipt exists","check":"receipt_type_present","params":{"receipt_type":"guardian_verdict"},"severity":"critical"}]},
{"card_id":"receipt_completeness","name":"Receipt Completeness","claims":[
 {"claim_id":"min_receipt_count","description":"At least 1 receipt in the pack","check":"receipt_count_ge","params":{"min_count":1},"severity":"critical"},
 {"claim_id":"model_call_present","description":"At least one model_call receipt exists","check":"receipt_type_present","params":{"receipt_type":"model_call"},"severity":"critical"}]},
{"card_id":"no_breakglass","name":"No Breakglass","claims":[
 {"claim_id":"no_breakglass","description":"No breakglass receipts present","check":"no_receipt_type","params":{"receipt_type":"breakglass"},"severity":"critical"}]},
{"card_id":"timestamp_ordering","name":"Timestamp Ordering","claims":[
 {"claim_id":"timestamps_monotonic","description":"Timestamps are monotonically non-decreasing","check":"timestamps_monotonic","params":{},"severity":"critical"}]},
{"card_id":"schema_consistency","name":"Schema Consistency","claims":[
 {"claim_id":"schema_version_consistent","description":"All model_call receipts use schema_version 3.0","check":"field_value_matches","params":{"receipt_type":"model_call","field_name":"schema_version","expected_value":"3.0"},"severity":"warning"}]},
{"card_id":"coverage_contract","name":"Coverage Contract","claims":[
 {"claim_id":"callsite_coverage","description":"Receipt callsite_ids cover >= min_coverage of contract sites","check":"coverage_contract","params":{"contract_path":"assay.coverage.json","min_coverage":0.8},"severity":"critical"}]}]`;

// BUILTIN is their list, as readCard gives cards.
export const BUILTIN = parse(bytesOf(TEXT)).map((card) => ({
  id: card.get('card_id'), name: card.get('name'), source: 'builtin', claims: card.get('claims'),
}));
