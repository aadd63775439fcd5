package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
)

const (
	siteSmall   = 100_000
	siteTime    = 20 * time.Second
	siteLarge   = 1_000_000
	siteMore    = 100
	moreTime    = 2 * time.Second
	siteMemory  = 256 << 20
	lookupBytes = 64 << 10
)

// siteFigure builds the site of a log of 100,000 entries at once.
func siteFigure(ctx context.Context) (string, bool, error) {
	dir, err := os.MkdirTemp("", "bench-site-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(dir)
	l, err := benchLog(siteSmall)
	if err != nil {
		return "", false, err
	}
	began := time.Now()
	b, err := site.Build(ctx, site.Config{Log: l, Out: filepath.Join(dir, "site")})
	if err != nil {
		return "", false, err
	}
	took := time.Since(began)
	return fmt.Sprintf("%.1f s, %d files, %d MB", took.Seconds(), b.Files, b.Bytes/1e6), took < siteTime, nil
}

// benchLog is a log with a checkpoint in the history for every 10,000 entries.
func benchLog(size int64) (*sitetest.Log, error) {
	l, err := sitetest.New("bench")
	if err != nil {
		return nil, err
	}
	return l, growLog(l, size)
}

func growLog(l *sitetest.Log, size int64) error {
	for next := int64(len(l.Leaves)); next < size; {
		next = min(size, next+10_000)
		if err := l.Grow(next); err != nil {
			return err
		}
		if err := l.Publish(sitetest.Began.Add(time.Duration(next) * time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// siteStep is what a process of its own did with a site.
type siteStep struct {
	Memory int64 // resident bytes, at most; 0 where the system does not say
	Took   time.Duration
	Files  int
	Bytes  int64
	Lookup int64 // bytes of the largest file of lookup
}

// siteMillion adds 100 entries to a site of a million, then builds it whole from its own files.
func siteMillion(ctx context.Context) (string, bool, error) {
	dir, err := os.MkdirTemp("", "bench-site-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(dir)
	more, err := siteAlone(ctx, "site-more", dir)
	if err != nil {
		return "", false, err
	}
	whole, err := siteAlone(ctx, "site-whole", dir)
	if err != nil {
		return "", false, err
	}
	text := fmt.Sprintf("%d more in %.2f s (%d files, %.1f MB), all at once in %.0f s and %d MB of memory, a lookup of at most %d KB",
		siteMore, more.Took.Seconds(), more.Files, float64(more.Bytes)/1e6, whole.Took.Seconds(), whole.Memory>>20, whole.Lookup>>10)
	if whole.Memory == 0 {
		text += " (SKIP: this system does not tell how much memory a process had)"
	}
	return text, more.Took < moreTime && whole.Memory < siteMemory && whole.Lookup < lookupBytes, nil
}

func siteAlone(ctx context.Context, name, dir string) (done siteStep, err error) {
	program, err := os.Executable()
	if err != nil {
		return done, err
	}
	c := exec.CommandContext(ctx, program, "step", name, dir)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return done, fmt.Errorf("%s: %w", name, err)
	}
	return done, json.Unmarshal(out, &done)
}

// siteSteps are the processes.
var siteSteps = map[string]func(dir string) (siteStep, error){"site-more": siteMoreStep, "site-whole": siteWholeStep}

func siteMoreStep(dir string) (done siteStep, err error) {
	l, err := benchLog(siteLarge)
	if err != nil {
		return done, err
	}
	config := site.Config{Log: l, Out: filepath.Join(dir, "site")}
	if _, err := site.Build(context.Background(), config); err != nil {
		return done, err
	}
	if err := growLog(l, siteLarge+siteMore); err != nil {
		return done, err
	}
	began := time.Now()
	b, err := site.Build(context.Background(), config)
	if err != nil {
		return done, err
	}
	return siteStep{Took: time.Since(began), Files: b.Files, Bytes: b.Bytes}, nil
}

func siteWholeStep(dir string) (done siteStep, err error) {
	folder, err := site.OpenFolder(filepath.Join(dir, "site"))
	if err != nil {
		return done, err
	}
	defer folder.Close()
	began := time.Now()
	out := filepath.Join(dir, "again")
	b, err := site.Build(context.Background(), site.Config{Log: folder, Out: out})
	if err != nil {
		return done, err
	}
	done = siteStep{Memory: mostMemory(), Took: time.Since(began), Files: b.Files, Bytes: b.Bytes}
	err = filepath.WalkDir(filepath.Join(out, "lookup"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			done.Lookup = max(done.Lookup, info.Size())
		}
		return err
	})
	return done, err
}

func runSiteStep(name, dir string) int {
	done, err := siteSteps[name](dir)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(done)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 70
	}
	return 0
}
