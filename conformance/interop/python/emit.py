"""Emits receipts with the reference library: emit.py COUNT LABEL, under ASSAY_TRACE_ID and HOME."""

import sys

from assay.store import emit_receipt

for n in range(int(sys.argv[1])):
    print(emit_receipt("model_call", {"by": sys.argv[2], "n": n})["receipt_id"])
