"""Times the reference tool: reference.py RECEIPTS.jsonl PACK_DIR OUT_DIR, three rounds each, best one.

Prints {"version": …, "build": seconds, "verify": seconds}. What it builds is in OUT_DIR.
"""
import json
import sys
import time
from pathlib import Path

import assay
from assay.claim_verifier import ClaimSpec
from assay.keystore import AssayKeyStore
from assay.proof_pack import ProofPack, verify_proof_pack

receipts, pack, out = map(Path, sys.argv[1:])
entries = [json.loads(line) for line in receipts.read_text(encoding="utf-8").split("\n") if line]
keys = AssayKeyStore(out / "keys")
keys.generate_key("bench")
claims = [
    ClaimSpec(claim_id="min_receipt_count", description="At least 1 receipt in the pack",
              check="receipt_count_ge", params={"min_count": 1}),
    ClaimSpec(claim_id="model_call_present", description="At least one model_call receipt exists",
              check="receipt_type_present", params={"receipt_type": "model_call"}),
]


def best(work):
    times = []
    for i in range(3):
        began = time.perf_counter()
        work(i)
        times.append(time.perf_counter() - began)
    return min(times)


def build(i):
    ProofPack(run_id="trace_bench", entries=entries, signer_id="bench", claims=claims).build(out / f"pack{i}", keystore=keys)


def verify(_):
    manifest = json.loads((pack / "pack_manifest.json").read_text(encoding="utf-8"))
    result = verify_proof_pack(manifest, pack, keys)
    if not result.passed:
        sys.exit(f"the reference tool refuses the pack: {result.errors}")


print(json.dumps({"version": getattr(assay, "__version__", "?"), "build": best(build), "verify": best(verify)}))
