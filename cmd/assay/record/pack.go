package record

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// breakglass records why the glass was broken, if it was. proof-pack may find it recorded already.
func (j *job) breakglass() error {
	if j.mode != manifest.ModeBreakglass {
		return nil
	}
	if strings.TrimSpace(j.reason) == "" {
		found, err := j.hasBreakglass()
		if err != nil || found {
			return err
		}
		return cli.BadInput("say why with --reason TEXT: it is recorded", "--mode breakglass wants a --reason: %s has no %s receipt", j.trace, receipt.BreakglassType)
	}
	// It is about the run, as the session receipt is: that the glass was broken is no evidence of what the program did.
	_, err := j.home.Receipts().Emit(j.trace, receipt.BreakglassType, jcs.Obj(jcs.M("recorded_by", jcs.Str(receipt.Recorder)), jcs.M("reason", jcs.Str(j.reason))))
	if err != nil {
		return fmt.Errorf("recording the reason: %w", j.home.StoreError(err))
	}
	j.own = true
	return nil
}

func (j *job) hasBreakglass() (bool, error) {
	trace, err := j.home.Receipts().Open(j.trace)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer trace.Close()
	for rec, err := range trace.All() {
		if err != nil {
			return false, err
		}
		if typ, _ := rec.Get("type"); typ.Text == "breakglass" || typ.Text == receipt.BreakglassType {
			return true, nil
		}
	}
	return false, nil
}

// finish packs, verifies and reports; child is the exit code of the program that ran.
func (j *job) finish(child int) error {
	return j.afterChild(child, j.packLater(j.packAndReport(child)))
}

// packLater tells how to pack the receipts that err left without a pack, or where the pack is if only the telling
// of it failed, and returns err.
func (j *job) packLater(err error) error {
	var done cli.Verdict
	switch {
	case err == nil, errors.As(err, &done), !j.built && !mayWorkLater(err):
		return err
	case j.built:
		fmt.Fprintf(j.s.Err, "note: the pack was made: %s\n", terminal.Safe(j.output))
		return err
	}
	again := "assay proof-pack " + j.trace
	for _, card := range j.cards {
		again += " -c " + cli.ShellWord(card)
	}
	fmt.Fprintf(j.s.Err, "note: what was recorded is under %s: '%s' packs it\n", terminal.Safe(j.trace), terminal.Safe(again))
	return err
}

// mayWorkLater: what the file system or a helper refused now. Receipts and cards of which no pack can be made are
// the same tomorrow.
func mayWorkLater(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link) || errors.Is(err, fs.ErrExist) ||
		errors.Is(err, keystore.ErrHelper) || cli.StorageRefused(err)
}

// afterChild gives an error the program's exit code: if that is not 0 it wins, whatever goes wrong here.
func (j *job) afterChild(child int, err error) error {
	var done cli.Verdict
	if err == nil || child == 0 || errors.As(err, &done) {
		return err
	}
	hint := ""
	if told := new(cli.Error); errors.As(err, &told) {
		hint = told.Hint
	}
	return &cli.Error{Code: child, Err: fmt.Errorf("the program failed (%d), and %w", child, err), Hint: hint}
}

func (j *job) packAndReport(child int) error {
	trace, err := j.home.Receipts().Open(j.trace)
	if errors.Is(err, fs.ErrNotExist) {
		trace, err = nil, nil
	}
	if err != nil {
		return err
	}
	evidence := false
	if trace != nil {
		defer trace.Close()
		if evidence, err = hasEvidence(trace); err != nil {
			return err
		}
		j.spec.Stream = trace.All()
	}
	if !evidence && j.mode != manifest.ModeBreakglass && !j.allowEmpty { // that the glass was broken is packed whatever the program did
		return j.nothing(child, trace)
	}
	if trace != nil {
		if err := keepTrace(j.home, trace); err != nil { // a convenience: the pack has the same receipts
			fmt.Fprintf(j.s.Err, "note: no copy of the receipts was left here: %s\n", terminal.Safe(err.Error()))
		}
	}
	result, err := j.build()
	if err != nil {
		return err
	}
	if trace != nil {
		noteLosses(j.s, trace)
		j.noteLate(trace, result)
	}
	if j.command.Name() == "run" && j.own && result.Evidence() == 0 {
		fmt.Fprintf(j.s.Err, "note: the program itself recorded nothing\n")
		for _, fix := range j.diagnose(child, trace) {
			fmt.Fprintf(j.s.Err, "hint: %s\n", terminal.Safe(fix))
		}
	}
	return j.report(child, trace, result)
}

// hasEvidence looks for the first receipt that is not about the run itself.
func hasEvidence(trace *capture.Trace) (bool, error) {
	for rec, err := range trace.All() {
		if err != nil {
			return false, err
		}
		if !receipt.AboutRun(rec) {
			return true, nil
		}
	}
	return false, nil
}

// build makes the pack. The result is that of its own verification, of what is on the disk.
func (j *job) build() (result *pack.Result, err error) {
	spec := j.spec
	spec.RunID, spec.Now = j.trace, j.buildTime()
	if spec.ValidUntil, err = j.end(spec.Now); err != nil {
		return nil, err
	}
	if !j.deterministic {
		id := make([]byte, 4)
		if _, err := rand.Read(id); err != nil {
			return nil, err
		}
		spec.PackID = "pack_" + spec.Now.Format("20060102T150405") + "_" + hex.EncodeToString(id)
	}
	if result, err = pack.BuildDir(j.output, spec); err != nil {
		return nil, buildError(err)
	}
	j.built = true
	return result, nil
}

// buildError is the error of a pack that was not built: of a helper that failed to sign it, or of its input.
func buildError(err error) error {
	if errors.Is(err, keystore.ErrHelper) {
		return cli.Unavailable("the receipts are kept: 'assay proof-pack TRACE' packs them later", "%w", err)
	}
	return cli.BadInput("", "%w", err)
}

// keepTrace leaves a copy of the receipts in the project: ./.assay/receipts/TRACE.jsonl. Not in the store:
// the Python tool reads all that is in there, and writes no more once it has seen a number twice.
func keepTrace(h home.Home, trace *capture.Trace) error {
	dir := filepath.Join(".assay", "receipts")
	if here, err := cli.FolderOf("."); err == nil && cli.Within(string(h), filepath.Join(here, dir)) {
		return nil
	}
	// The project may be somebody else's: its .assay must not lead our receipts out of it.
	for _, d := range []string{".assay", dir} {
		if info, err := os.Lstat(d); err == nil && !info.IsDir() {
			return fmt.Errorf("%s is not a directory", d)
		}
	}
	if err := durable.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := capture.KeepFromGit(".assay"); err != nil {
		return err
	}
	copied, err := os.CreateTemp(dir, ".assay_tmp_*") // 0600
	if err != nil {
		return err
	}
	_, err = io.Copy(copied, trace.Text())
	if err = errors.Join(err, copied.Close()); err == nil {
		err = os.Rename(copied.Name(), filepath.Join(dir, trace.ID+".jsonl"))
	}
	if err != nil {
		return errors.Join(err, os.Remove(copied.Name()))
	}
	return nil
}
