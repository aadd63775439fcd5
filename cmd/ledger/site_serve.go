package main

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/serve"
)

func siteServeCmd(s cli.Streams) *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:   "serve DIR",
		Short: "Serve a site on this machine, for a look",
		Long: `serve shows a site as a static host would. It is for a look at it: to publish it, copy the folder to
any host of static files.`,
		Example: "  ledger site serve ./public",
		Args:    cli.Args(cobra.ExactArgs(1), "one folder"),
		RunE: func(c *cobra.Command, args []string) error {
			root, err := os.OpenRoot(args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return cli.BadInput("'ledger site build' makes it", "%s does not exist", args[0])
			} else if err != nil {
				return err
			}
			defer root.Close()
			return listenAndServe(c.Context(), s, address, siteHandler(root.FS()), cli.Logger(s.Err), serve.Limits{})
		},
	}
	c.Flags().StringVar(&address, "listen", "127.0.0.1:8080", "address to listen on")
	return c
}

// siteHandler serves the files of a site as they are, with the types that browsers insist on for modules and styles. It
// sends nobody elsewhere, as http.FileServer does for index.html: clients of a log follow no redirects.
func siteHandler(files fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" || strings.HasSuffix(name, "/") {
			name += "index.html"
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Access-Control-Allow-Origin", "*") // so that a verifier elsewhere can check it
		h.Set("Cache-Control", "no-cache")
		f, err := files.Open(name)
		if err != nil {
			http.Error(w, "nothing is here", http.StatusNotFound)
			return
		}
		defer f.Close()
		info, err := f.Stat()
		content, seeks := f.(io.ReadSeeker)
		if err != nil || !info.Mode().IsRegular() || !seeks {
			http.Error(w, "nothing is here", http.StatusNotFound)
			return
		}
		h.Set("Content-Type", siteType(name))
		http.ServeContent(w, r, "", info.ModTime(), content)
	})
}

// siteType is the content type of a file of a site.
func siteType(name string) string {
	first, _, _ := strings.Cut(name, "/")
	switch ext := path.Ext(name); {
	case ext == ".html":
		return "text/html; charset=utf-8"
	case ext == ".mjs":
		return "text/javascript; charset=utf-8"
	case ext == ".css":
		return "text/css; charset=utf-8"
	case ext == ".svg":
		return "image/svg+xml"
	case ext == ".json":
		return "application/json"
	case ext == ".csv":
		return "text/csv; charset=utf-8"
	case ext == ".xml":
		return "application/atom+xml"
	case first == "tile" || first == "checkpoints" && path.Base(name) != "count":
		return "application/octet-stream"
	}
	return "text/plain; charset=utf-8"
}
