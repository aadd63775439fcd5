package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// MaxAge is how long a key signs before Audit asks for its rotation: a quarter.
const MaxAge = 90 * 24 * time.Hour

// Finding is one thing that Audit has to say.
type Finding struct {
	Code    string // KEY_REFUSED, KEY_OLD, KEY_TWICE, …: see Audit
	Name    string // the key's id, or the file
	Serious bool   // somebody has to do something; else it is good to know
	Text    string
}

// Audited is the state of a store.
type Audited struct {
	Keys        []Info
	Active      string // the id; empty without keys
	Rotations   []Rotation
	Revocations []Revocation
	Findings    []Finding
}

// Audit looks at everything in the store. The serious findings: STORE_REFUSED, KEY_REFUSED (permissions,
// owner, halves that do not match), ACTIVE_REVOKED, ACTIVE_MISSING, KEY_OLD of the active key, KEY_TWICE (in
// the open beside its encrypted file), RECORD_DAMAGED, UNKNOWN_FILE. Good to know: KEY_OLD of others,
// REVOKED_KEY_KEPT, UNCHECKED. An error means that nothing could be judged.
func (s *Store) Audit(now time.Time) (*Audited, error) {
	a := new(Audited)
	if _, err := os.Lstat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if !PermissionsChecked {
		a.note("UNCHECKED", s.Dir, "who may read the keys is not checked on this system")
	}
	if err := checkDir(s.Dir); err != nil {
		a.find("STORE_REFUSED", s.Dir, err.Error())
		return a, nil
	}
	var err error
	if a.Keys, err = s.List(); err != nil {
		a.find("STORE_REFUSED", s.Dir, err.Error())
		return a, nil
	}
	if a.Rotations, err = s.Rotations(); err != nil {
		a.find("RECORD_DAMAGED", s.Dir, err.Error())
	}
	if a.Revocations, err = s.Revocations(); err != nil {
		a.find("RECORD_DAMAGED", s.Dir, err.Error())
	}
	for _, key := range a.Keys {
		s.auditKey(a, key, now)
	}
	if set, err := s.marked(); err == nil && set != "" && a.Active != set {
		a.find("ACTIVE_MISSING", activeMarker, fmt.Sprintf("names %q, whose secret is not here; another key signs", set))
	}
	return a, s.auditFiles(a)
}

func (a *Audited) find(code, name, text string) {
	a.Findings = append(a.Findings, Finding{Code: code, Name: name, Serious: true, Text: text})
}

func (a *Audited) note(code, name, text string) {
	a.Findings = append(a.Findings, Finding{Code: code, Name: name, Text: text})
}

func (s *Store) auditKey(a *Audited, key Info, now time.Time) {
	if key.Active {
		a.Active = key.ID
	}
	if _, err := os.Lstat(s.path(key.ID, ageSuffix)); err == nil && key.Kind == Plain {
		a.find("KEY_TWICE", key.ID, "lies there in the open beside its encrypted file: finish with 'assay key encrypt'")
	}
	age := now.Sub(key.Since)
	switch {
	case key.Revoked != nil && key.Active:
		a.find("ACTIVE_REVOKED", key.ID, "is the active key, and was revoked: nothing can be signed until another is active")
	case key.Revoked != nil && key.Kind != PublicOnly:
		a.note("REVOKED_KEY_KEPT", key.ID, "was revoked; its secret is still here")
	case key.Revoked != nil:
	case key.Err != nil:
		a.find("KEY_REFUSED", key.ID, key.Err.Error())
	case age > MaxAge && key.Active:
		a.find("KEY_OLD", key.ID, fmt.Sprintf("signs for %d days; rotate it every %d", int(age.Hours()/24), int(MaxAge.Hours()/24)))
	case age > MaxAge && key.Kind != PublicOnly:
		a.note("KEY_OLD", key.ID, fmt.Sprintf("is %d days old", int(age.Hours()/24)))
	}
}

// auditFiles finds what nobody knows: what a crash left may hold a secret.
func (s *Store) auditFiles(a *Audited) error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		record := slices.ContainsFunc([]string{revokedSuffix, rotationSuffix}, func(suffix string) bool {
			_, ok := recordName(name, suffix)
			return ok
		})
		key := slices.ContainsFunc(keySuffixes, func(suffix string) bool {
			id, ok := strings.CutSuffix(name, "."+suffix)
			return ok && checkID(id) == nil
		})
		switch {
		case key || record || name == activeMarker || name == lockFile:
		case strings.HasPrefix(name, ".assay_tmp_") || strings.HasSuffix(name, ".tmp"):
			a.find("UNKNOWN_FILE", name, "was left by a crash and may hold a secret key: delete it")
		default:
			a.find("UNKNOWN_FILE", name, "is no file of the key store")
		}
	}
	return nil
}

// Paths are the files of a key that are there.
func (s *Store) Paths(id string) []string {
	var paths []string
	for _, suffix := range keySuffixes {
		if path := s.path(id, suffix); checkID(id) == nil {
			if _, err := os.Lstat(path); err == nil {
				paths = append(paths, filepath.Clean(path))
			}
		}
	}
	return paths
}
