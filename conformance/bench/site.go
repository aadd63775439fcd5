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
	Memory    int64 // resident bytes, at most; 0 where the system does not say
	Took      time.Duration
	Files     int
	Bytes     int64
	Lookup    int64         // bytes of the largest file of lookup
	processor time.Duration // spent by all its threads
}

// siteMillion adds 100 entries to a site of a million, then builds it whole from its own files, each in a process of its
// own. What counts is processor time: how long the clock ran depends on the neighbours.
func siteMillion(ctx context.Context) (string, bool, error) {
	dir, err := os.MkdirTemp("", "bench-site-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(dir)
	if _, err := siteAlone(ctx, "site-log", dir); err != nil {
		return "", false, err
	}
	more, err := siteAlone(ctx, "site-more", dir)
	if err != nil {
		return "", false, err
	}
	whole, err := siteAlone(ctx, "site-whole", dir)
	if err != nil {
		return "", false, err
	}
	text := fmt.Sprintf("%d more in %.2f s (%d files, %.1f MB; by the clock %.1f s), all at once in %.0f s (%.0f s) and %d MB of memory, a lookup of at most %d KB",
		siteMore, more.processor.Seconds(), more.Files, float64(more.Bytes)/1e6, more.Took.Seconds(),
		whole.processor.Seconds(), whole.Took.Seconds(), whole.Memory>>20, whole.Lookup>>10)
	if whole.Memory == 0 {
		text += " (SKIP: this system does not tell how much memory a process had)"
	}
	return text, more.processor < moreTime && whole.Memory < siteMemory && whole.Lookup < lookupBytes, nil
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
	done.processor = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return done, json.Unmarshal(out, &done)
}

// siteSteps are the processes.
var siteSteps = map[string]func(dir string) (siteStep, error){"site-log": siteLogStep, "site-more": siteMoreStep, "site-whole": siteWholeStep}

// siteLogStep makes two sites of one log: old has a million entries, new a hundred more. Files of both that are alike are one
// file, which no build writes into.
func siteLogStep(dir string) (done siteStep, err error) {
	l, err := benchLog(siteLarge)
	if err != nil {
		return done, err
	}
	old, later := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	if _, err := site.Build(context.Background(), site.Config{Log: l, Out: old}); err != nil {
		return done, err
	}
	err = filepath.WalkDir(old, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(old, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Mkdir(filepath.Join(later, name), 0o755)
		}
		return os.Link(path, filepath.Join(later, name))
	})
	if err == nil {
		err = growLog(l, siteLarge+siteMore)
	}
	if err == nil {
		_, err = site.Build(context.Background(), site.Config{Log: l, Out: later})
	}
	return done, err
}

// siteMoreStep makes the old site the new one.
func siteMoreStep(dir string) (done siteStep, err error) { return buildFrom(dir, "old") }

// siteWholeStep builds the new site a second time.
func siteWholeStep(dir string) (done siteStep, err error) {
	if done, err = buildFrom(dir, "again"); err != nil {
		return done, err
	}
	err = filepath.WalkDir(filepath.Join(dir, "again", "lookup"), func(_ string, d fs.DirEntry, err error) error {
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

func buildFrom(dir, out string) (done siteStep, err error) {
	log, err := site.OpenFolder(filepath.Join(dir, "new"))
	if err != nil {
		return done, err
	}
	defer log.Close()
	began := time.Now()
	b, err := site.Build(context.Background(), site.Config{Log: log, Out: filepath.Join(dir, out)})
	if err != nil {
		return done, err
	}
	return siteStep{Memory: mostMemory(), Took: time.Since(began), Files: b.Files, Bytes: b.Bytes}, nil
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
