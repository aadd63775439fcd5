package main

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

func auditCmd(s cmd.Streams) *cobra.Command { return stub("audit") }

// checkByHand is a shell script that checks $pack with programs that are not ours: that its files are
// those that the manifest lists, and that the manifest is signed. The names in a manifest are ASCII and
// its numbers integers, so that Python's sorted JSON is its canonical form.
const checkByHand = `python3 - "$pack" <<'EOF'
import base64, hashlib, json, sys
pack = sys.argv[1] + "/"
manifest = json.load(open(pack + "pack_manifest.json", encoding="utf-8"))
canonical = lambda v: json.dumps(v, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
names = ["receipt_pack.jsonl", "verify_report.json", "verify_transcript.md"]
assert [f["path"] for f in manifest["files"]] == names, "the manifest lists other files"
for name, f in zip(names, manifest["files"]):
    digest = hashlib.sha256(open(pack + name, "rb").read()).hexdigest()
    assert digest == f["sha256"], name + " is not the file that was signed"
attested = hashlib.sha256(canonical(manifest["attestation"])).hexdigest()
assert attested == manifest["attestation_sha256"] == manifest["pack_root_sha256"], "the attestation was altered"
key = base64.b64decode(manifest["signer_pubkey"], validate=True)
print("signed with the key", hashlib.sha256(key).hexdigest())
signed = {k: v for k, v in manifest.items() if k not in ("signature", "pack_root_sha256")}
open("signer.der", "wb").write(bytes.fromhex("302a300506032b6570032100") + key)
open("signed.bin", "wb").write(canonical(signed))
EOF
openssl pkeyutl -verify -pubin -keyform DER -inkey signer.der -rawin -in signed.bin -sigfile "$pack/pack_signature.sig"
`
