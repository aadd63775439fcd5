package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/api"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/ledger/tsa"
	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// serveCmd knows the program by which the site is made: its name stands in it.
func serveCmd(s cli.Streams, program string) *cobra.Command {
	var listen string
	o := serveOptions{program: program}
	c := &cobra.Command{
		Use:   "serve DIR",
		Short: "Serve a ledger over HTTP",
		Long: `serve opens the ledger in DIR, checks it against its guard and its witnesses, and answers
HTTP until it is told to stop. It refuses to start on a log that was rolled back or damaged (exit
2, as fsck says of it), and signs nothing new before enough witnesses were heard from to exclude
that; it serves what it has.
Where storage refuses writes it serves what it has too, and takes entries again when it can.
While it runs it reads every byte of the log and of its index again and again; it prints how long
one pass takes. What is damaged is not served, and a damaged index is derived again.
At / it shows the log as pages that anyone can check in a browser: a site that it keeps in DIR/site,
made anew after publications, and free to be deleted. 'ledger site build' makes one for other hosts.`,
		Example: `  ledger serve ./myledger
  ledger serve ./myledger --listen 127.0.0.1:0`,
		Args: cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			// The files and the spare ones that it keeps free for the appender: with fewer it would start and never take an entry.
			if err := cli.EnoughFiles(40); err != nil {
				return err
			}
			d := ledgerHome(args[0])
			conf, err := readConfig(d)
			if err != nil {
				return err
			}
			if listen != "" {
				conf.Listen = listen
			}
			if o.siteInterval <= 0 {
				return cli.BadInput("'--no-site' keeps no site", "--site-interval %v, expected more than 0", o.siteInterval)
			}
			return serveLedger(c.Context(), s, d, conf, o)
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "address to listen on (default: that of ledger.json)")
	c.Flags().Float64Var(&o.rate, "rate", 100, "requests per second of one client network (IPv4 /24, IPv6 /48); 0: no limit")
	c.Flags().DurationVar(&o.scrub, "scrub", 10*time.Minute, "in which all of the log and its index is read again and verified; a large log takes longer")
	c.Flags().DurationVar(&o.siteInterval, "site-interval", 10*time.Second, "at most so often the pages at / are made anew")
	c.Flags().BoolVar(&o.noSite, "no-site", false, "make and serve no pages, only the API and the log")
	return c
}

type serveOptions struct {
	rate         float64
	scrub        time.Duration
	siteInterval time.Duration
	noSite       bool
	program      string
}

// serveLedger opens what a ledger is made of, each part with those that it needs, and serves until ctx ends. They close in
// the other order: first no request comes any more, then the log publishes what it has taken (and tells the index), then
// the authorities go, and last the index, which writes what it holds in memory.
func serveLedger(ctx context.Context, s cli.Streams, d ledgerHome, conf ledgerConfig, o serveOptions) (err error) {
	log := newLogger(s)
	x, err := index.Open(d.index(), conf.Origin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	roots, err := trustedRoots(d, conf)
	if err != nil {
		return err
	}
	logConfig, err := openConfig(d, conf, x, log)
	if err != nil {
		return err
	}
	if logConfig.Appender, err = appender(s.Err); err != nil {
		return err
	}
	if d.holds(logConfig.GuardDir) {
		log.Warn("the guard lies inside the ledger's directory: a backup takes it along, and a log that is restored with its guard has forgotten what was signed since; move it to another path, and name that path as \"guard\" in ledger.json",
			"guard", logConfig.GuardDir)
	}
	logConfig.Scrub = o.scrub
	d.noticeOldIndex(log)
	if conf.Timestamps != ledger.TimestampsOff {
		authorities, err := tsa.NewChain(tsa.Config{URLs: conf.TSA, Options: timestamp.Options{Roots: roots.Pool()}, Log: log, Jitter: rand.Float64})
		if err != nil {
			return cli.BadInput("", "%s: %v", d.config(), err)
		}
		defer authorities.Close()
		logConfig.TSA = authorities
	}
	for _, w := range logConfig.Policy.Witnesses() {
		if w.URL == "" {
			log.Warn("a witness of the policy has no URL and is never asked", "witness", w.Name)
		}
	}
	log.Info("checking the log, its guard and what its witnesses show", "dir", string(d))
	l, err := ledger.Open(ctx, logConfig)
	if err != nil && ctx.Err() != nil {
		log.Info("stopped before it had started", "err", err)
		return nil
	} else if errors.Is(err, ledger.ErrHistory) { // the same fact has the same code as in fsck
		return &cli.Error{Code: cli.ExitTampered, Err: err}
	} else if err != nil {
		return &cli.Error{Code: cli.ExitBadInput, Err: err} // it says what to do, which --help does not
	}
	log.Info("every byte of the log and its index is read again and verified", "every", l.ScrubPeriod().String())
	defer func() {
		// The serving context has ended; closing gets a deadline of its own.
		closing, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err = errors.Join(err, l.Close(closing))
	}()
	faces := api.Config{Log: l, Index: x, Policy: logConfig.Policy, TSARoots: roots, Rate: o.rate, Logger: log}
	if !o.noSite {
		k := &keeper{interval: o.siteInterval, room: roomAt(string(d)), log: log, config: site.Config{Log: d.files(conf, logConfig.Policy, roots), Out: d.site(), Policy: logConfig.Policy, Program: o.program}}
		faces.Pages, faces.Notes = pages(d.site()).serve, k.notes
		stop := k.start(ctx)
		defer stop()
	}
	handler, err := api.New(faces)
	if err != nil {
		return err
	}
	return listenAndServe(ctx, s, conf.Listen, handler, log, serve.Ledger)
}

// listenAndServe binds address, says where on stdout, and serves until ctx ends.
func listenAndServe(ctx context.Context, s cli.Streams, address string, h http.Handler, log *slog.Logger, limits serve.Limits) error {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return cli.BadInput("choose another with --listen", "%v", err)
	}
	fmt.Fprintf(s.Out, "listening on http://%s\n", ln.Addr())
	if beyondLoopback(ln.Addr()) {
		log.Warn("this is plain HTTP, and other machines can reach it: put a TLS terminator before it, or listen on 127.0.0.1", "address", ln.Addr().String())
	}
	return serve.HTTP(ctx, ln, h, log, limits)
}

// beyondLoopback: another machine may reach the address.
func beyondLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

// trustedRoots are the roots of the timestamp authorities; nil for none. A ledger that asks for no
// timestamps any more may still have those of its older entries.
func trustedRoots(d ledgerHome, conf ledgerConfig) (*timestamp.Roots, error) {
	roots, err := readRoots(d.roots())
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return roots, err
	case conf.Timestamps == ledger.TimestampsOff:
		return nil, nil
	}
	return nil, cli.BadInput("put the roots there, or set \"timestamps\" to \"off\"", "%s is missing: no timestamp could be believed", d.roots())
}

// noticeOldIndex tells of the SQLite file that releases before this one derived from the log.
func (d ledgerHome) noticeOldIndex(log *slog.Logger) {
	path := filepath.Join(string(d), "index.db")
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		log.Info("this is the index of an earlier release: nothing reads it any more, and it may be deleted", "path", path)
	}
}

// openConfig is the ledger.Config of a directory.
func openConfig(d ledgerHome, conf ledgerConfig, x *index.Index, log *slog.Logger) (ledger.Config, error) {
	signer, err := logSigner(d, conf)
	if err != nil {
		return ledger.Config{}, err
	}
	policy, err := ledgerPolicy(d, signer)
	if err != nil {
		return ledger.Config{}, err
	}
	c := ledger.Config{
		Dir: d.log(), GuardDir: d.guard(conf.Guard), SpoolDir: d.spool(), CheckpointsDir: d.checkpoints(), Signer: signer, Policy: policy,
		Timestamps: conf.Timestamps, Log: log,
	}
	if x != nil {
		c.Index = x
	}
	return c, nil
}

// logSigner reads the key of a ledger, which is that of its origin.
func logSigner(d ledgerHome, conf ledgerConfig) (*trust.LogSigner, error) {
	secret, err := readKey(d.key())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.BadInput("put it back from its backup; a log whose key is lost for good cannot go on: start a new one under another origin", "%s is missing: the log's key", d.key())
	} else if err != nil {
		return nil, err
	}
	signer, err := trust.NewLogSigner(secret)
	if err != nil {
		return nil, cli.BadInput("", "%s: %v", d.key(), err)
	}
	if signer.Origin() != conf.Origin {
		return nil, cli.BadInput("", "the key is of %q, ledger.json says %q", signer.Origin(), conf.Origin)
	}
	return signer, nil
}

// ledgerPolicy reads the policy of a ledger: it is published, and says one log and our key.
func ledgerPolicy(d ledgerHome, signer *trust.LogSigner) (*trust.Policy, error) {
	policy, err := readPolicy(d.policy())
	if err != nil {
		return nil, err
	}
	if logs := policy.Logs(); len(logs) != 1 || logs[0].VKey != signer.VKey() {
		return nil, cli.BadInput("its one log line is: log "+signer.VKey(), "%s names %d logs, or another key than %s", d.policy(), len(logs), d.key())
	}
	return policy, nil
}
