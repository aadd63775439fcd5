"""Runs the reference tool for the interop tests: one JSON request a line, one JSON answer a line.

Every request runs in a forked child, so that it has the environment, the directory, the exit code
and the uncaught exceptions of a process of its own, without importing everything again.

  {"op": "cli", "args": ["verify-pack", "x"], "env": {"HOME": "/tmp/h"}, "cwd": "/tmp"}
  {"op": "build", "env": ..., "cwd": ..., "spec": {...}}   see build()
  -> {"exit": 0, "out": "...", "err": "..."}
"""

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

# Imported once, inherited by every child.
import assay.commands
import assay.keystore
import assay.proof_pack
import assay.run_cards
import assay.store
import assay._receipts.jcs


def cli(request):
    sys.argv = ["assay"] + request["args"]
    assay.commands.assay_app()
    return 0


def build(request):
    """Builds a pack with the library: receipts is the path of a file with one JSON array."""
    spec = request["spec"]
    claims = []
    for card in spec.get("cards") or []:
        found = assay.run_cards.get_builtin_card(card) or assay.run_cards.load_run_card(Path(card))
        claims += assay.run_cards.collect_claims_from_cards([found])
    pack = assay.proof_pack.ProofPack(
        run_id=spec["run_id"],
        entries=json.loads(Path(spec["receipts"]).read_text(encoding="utf-8")),
        signer_id=spec["signer"],
        claims=claims or None,
        mode=spec.get("mode") or "shadow",
        ci_binding=spec.get("ci_binding"),
        valid_until=spec.get("valid_until"),
        superseded_by=spec.get("superseded_by"),
        suite_id=spec.get("suite_id") or "manual",
    )
    keys = assay.keystore.AssayKeyStore(Path(spec["keys"]))
    pack.build(Path(spec["output"]), keys, deterministic_ts=spec.get("now"))
    return 0


OPERATIONS = {"cli": cli, "build": build}


def child(request):
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    try:
        code = OPERATIONS[request["op"]](request)
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    except BaseException:  # what the interpreter does with an exception that nobody caught
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve(request):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                code = child(request)
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        out.seek(0)
        err.seek(0)
        return {
            "exit": os.waitstatus_to_exitcode(status),
            "out": out.read().decode("utf-8", "replace"),
            "err": err.read().decode("utf-8", "replace"),
        }


for line in sys.stdin:
    print(json.dumps(serve(json.loads(line))), flush=True)
