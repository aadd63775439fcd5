package pack

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"slices"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// Verify judges a pack. A bad pack is a Result; an error means nothing could be judged: no such directory,
// ErrNoPack, or a *ReadError.
//
// It looks at the manifest, the names, the files, the receipts, the report, the claims and the signature, in this
// order, and then at what was asked besides. Each file is opened and read once, and everything that is decided is
// decided on those bytes.
func Verify(fsys fs.FS, o Options) (*Result, error) {
	if _, err := fs.Stat(fsys, "."); err != nil {
		return nil, err
	}
	if err := holdsAny(fsys); err != nil {
		return nil, err
	}
	if o.Strict {
		o.RequirePinned, o.RequireAnchor, o.RequireClaims, o.CheckExpiry, o.RefuseSuperseded = true, true, true, true, true
	}
	r := &Result{Integrity: Fail, Claims: ClaimsResult{Verdict: Skipped}, Anchor: AnchorResult{Verdict: Skipped, Timed: Skipped},
		Lock: LockResult{Verdict: Skipped}, Expectations: ExpectationsResult{Verdict: Skipped}, require: o}
	v := &verifier{fsys: fsys, o: o, r: r}
	v.integrity()
	if len(v.found) == 0 {
		r.Integrity = Pass
		v.settleClaims()
		v.census.settle(&r.Facts)
		if v.cover != nil {
			r.Coverage = &CoverageResult{Verdict: Fail, Coverage: v.cover.Result()}
			if r.Coverage.Share >= o.MinCoverage { // never true of a NaN
				r.Coverage.Verdict = Pass
			}
		}
	} else {
		r.Claims.Results, r.Claims.Reexecuted, r.Claims.Cards, r.Claims.Sources, r.Claims.Asked = nil, false, nil, nil, nil
	}
	v.anchor()
	if v.m != nil {
		v.expectations() // of the age what the anchor proves
	}
	v.drift()
	if v.fault != nil {
		return nil, v.fault
	}
	r.Findings, r.Warnings = v.found, v.warned
	return r, nil
}

// VerifyDir judges the pack in a directory, which it opens as DirFS does.
func VerifyDir(dir string, o Options) (r *Result, err error) {
	fsys, done, err := DirFS(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	return Verify(fsys, o)
}

// verifier is one run of Verify.
type verifier struct {
	fsys   fs.FS
	o      Options
	r      *Result
	m      *manifest.Manifest
	found  manifest.Findings
	warned manifest.Findings
	report reportFile   // as far as it could be read
	claims *definition  // nil: no definition matches claim_set_hash, or there are no claims
	cover  *claim.Sites // nil without a coverage contract
	census census
	fault  error // the first *ReadError: what it hides is no finding
}

// integrity is steps 1 to 9 of verify.md §3, in their order. What is expected of a pack comes later: no byte of it
// can break that.
func (v *verifier) integrity() {
	text, err := v.read(manifest.Name, manifest.MaxSize)
	if err != nil {
		v.unreadable(manifest.StageSchema, manifest.Name, err)
		return
	}
	v.r.Facts.ManifestFileSHA256 = form.HexSum(text)
	// VFY-11: a manifest of another form says nothing about its pack.
	if v.m = manifest.Read(text, &v.found); v.m == nil {
		return
	}
	v.r.Manifest = v.m
	v.listing()
	v.m.CheckPaths(&v.found)
	if b := v.m.Attestation.CIBinding; b != nil && len(b.CommitSHA) > 40 {
		v.warned.At(manifest.StageAttestation).Add(manifest.WarnPortability, "ci_binding.commit_sha", "commit_sha has 64 digits: the reference implementation refuses this pack")
	}
	sig := v.contents()
	v.m.CheckAttestation(&v.found)
	v.checkReport()
	v.reexecute()
	v.m.CheckSignature(&v.found)
	v.checkSignatureFile(sig)
	v.m.CheckRoot(&v.found)
}

// read reads one file of the pack whole.
func (v *verifier) read(name string, max int64) ([]byte, error) {
	data, err := readRegular(v.fsys, name, max)
	v.noteFault(name, err)
	return data, err
}

// noteFault remembers that a file is there and could not be read here: Verify then judges nothing.
func (v *verifier) noteFault(name string, err error) {
	if v.fault == nil && localFault(err) {
		v.fault = &ReadError{name, err}
	}
}

// unreadable says why a file that must be there was not read at a stage. A link is an escape
// wherever it leads: what it names is not part of the pack (PCK-1).
func (v *verifier) unreadable(stage manifest.Stage, name string, err error) {
	at := v.found.At(stage)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		at.Add(manifest.CodeManifestTamper, name, "%s is missing", name)
	case errors.Is(err, errLink):
		if stage == manifest.StageFiles { // it has no other digest: it has left the pack, as a path of the manifest may
			at = v.found.At(manifest.StagePaths)
		}
		at.Add(manifest.CodePathEscape, name, "%s %s", name, errLink)
	case errors.Is(err, errNotRegular), errors.Is(err, errTooLarge):
		at.Add(manifest.CodeManifestTamper, name, "%s is not read: %s", name, form.OneLine(err))
	default:
		at.Add(manifest.CodeManifestTamper, name, "%s cannot be read: %s", name, form.OneLine(err))
	}
}

// listing warns about what nothing covers. Extra files decide nothing, so they cannot make a pack bad;
// but _unsigned must be the directory it says it is.
func (v *verifier) listing() {
	info, err := fs.Lstat(v.fsys, manifest.UnsignedName)
	v.noteFault(manifest.UnsignedName, err)
	if err == nil && !info.IsDir() {
		code := manifest.CodeManifestTamper
		if info.Mode()&fs.ModeSymlink != 0 {
			code = manifest.CodePathEscape
		}
		v.found.At(manifest.StagePaths).Add(code, manifest.UnsignedName, "%s is not a directory", manifest.UnsignedName)
	}
	entries, err := fs.ReadDir(v.fsys, ".")
	v.noteFault(".", err)
	names := manifest.FileNames()
	for _, e := range entries {
		if e.Name() != manifest.UnsignedName && !slices.Contains(names, e.Name()) {
			v.warned.At(manifest.StagePaths).Add(manifest.WarnExtraFile, e.Name(), "%s is not part of the pack: nothing signed covers it", form.Printable(e.Name()))
		}
	}
}

// contents reads the three files that the manifest lists, and the signature file, and
// returns the latter. The report comes first: with the manifest it tells which claims to
// evaluate while the receipts go by.
func (v *verifier) contents() (signature []byte) {
	report, reportErr := v.read(manifest.ReportName, form.MaxFile)
	if reportErr == nil {
		v.readReport(report)
	}
	v.claims = v.define()

	run := v.claims.claimRun()
	if v.cover = v.o.Contract.Sites(); v.cover != nil {
		if run == nil {
			run = claim.NewRun(nil)
		}
		run.Cover(v.cover)
	}
	scan := &receiptScan{runID: v.m.RunID, claims: run}
	if len(v.o.Ask) > 0 {
		scan.asked = claim.NewRun(claim.InOrder(v.o.Ask))
	}
	scanErr := scan.scanReceipts(v.fsys)
	v.noteFault(manifest.ReceiptsName, scanErr)
	v.census = scan.census
	if scanErr == nil {
		v.r.Facts.ReceiptsFileSHA256 = scan.digest.String()
		v.content(manifest.ReceiptsName, scan.digest, scan.size, scan.converted)
	} else {
		v.unreadable(manifest.StageFiles, manifest.ReceiptsName, scanErr)
	}
	if reportErr == nil {
		v.content(manifest.ReportName, sha256.Sum256(report), int64(len(report)), endsOf(report))
	} else {
		v.unreadable(manifest.StageFiles, manifest.ReportName, reportErr)
	}
	if transcript, err := v.read(manifest.TranscriptName, form.MaxFile); err == nil {
		v.content(manifest.TranscriptName, sha256.Sum256(transcript), int64(len(transcript)), endsOf(transcript))
	} else {
		v.unreadable(manifest.StageFiles, manifest.TranscriptName, err)
	}
	signature, err := v.read(manifest.SignatureName, form.MaxFile)
	if err != nil {
		v.unreadable(manifest.StageFiles, manifest.SignatureName, err)
	}

	v.found.Join(v.report.found...)
	v.found.Join(scan.found...)
	// A file that is not there holds no receipts (VFY-22): the count and the
	// head are compared all the same, so that a removed file is seen as an omission.
	scan.complete = scan.complete || errors.Is(scanErr, fs.ErrNotExist)
	scan.checkReceipts(v.m, &v.found)
	v.r.Receipts, v.r.AboutRun = scan.count, scan.aboutRun
	if scan.count > 0 {
		v.r.Facts.HeadHash = scan.head()
	}
	if !scan.complete {
		v.claims = nil // they saw only some of the receipts
	} else if scan.asked != nil {
		v.r.Claims.Asked = scan.asked.Results()
	}
	if scan.literal > 0 {
		v.warned.At(manifest.StageReceipts).Add(manifest.WarnPortability, manifest.ReceiptsName,
			"%d receipts hold U+0085, U+2028 or U+2029 unescaped: the reference implementation refuses this pack", scan.literal)
	}
	return signature
}

// content compares one file with its entry in the manifest (PCK-18). converted reports whether the
// file would have a hash if its line ends had not been converted.
func (v *verifier) content(name string, sum trust.Digest, size int64, converted func(want trust.Digest) bool) {
	at := v.found.At(manifest.StageFiles)
	for _, f := range v.m.Files {
		switch {
		case f.Path != name:
		case f.SHA256 != sum && converted(f.SHA256):
			at.Add(manifest.CodeManifestTamper, name, "%s is not the file that was signed: %s", name, lineEnds)
			return
		case f.SHA256 != sum:
			at.Add(manifest.CodeManifestTamper, name, "%s is not the file that was signed: its SHA-256 is %s", name, sum)
			return
		case f.Bytes != size:
			at.Add(manifest.CodeManifestTamper, name, "%s has %d bytes, the manifest says %d", name, size, f.Bytes)
			return
		}
	}
}

func (v *verifier) checkSignatureFile(detached []byte) {
	at := v.found.At(manifest.StageSignature)
	embedded, err := v.m.Signature()
	switch {
	case err != nil || string(embedded) == string(detached):
	case string(withoutCR(embedded)) == string(withoutCR(detached)):
		at.Add(manifest.CodePackSignature, manifest.SignatureName, "%s does not hold the signature of the manifest: %s", manifest.SignatureName, lineEnds)
	default:
		at.Add(manifest.CodePackSignature, manifest.SignatureName, "%s does not hold the signature of the manifest", manifest.SignatureName)
	}
}

// lineEnds is what git does to a pack unless it is told not to. It is tampering like any other, with an
// innocent explanation.
const lineEnds = "it looks like line ends were converted; '-text' in .gitattributes keeps them"

// endsOf reports whether data has the hash with its line ends as they are on another system.
func endsOf(data []byte) func(want trust.Digest) bool {
	return func(want trust.Digest) bool {
		lf := withoutCR(data)
		return sha256.Sum256(lf) == want || sha256.Sum256(bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))) == want
	}
}

func withoutCR(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) }
