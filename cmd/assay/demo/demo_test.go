package demo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
)

func TestADemoThatShowsSomethingElseFails(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out, talk bytes.Buffer
		s := cli.Streams{Out: &out, Err: &talk, Env: func(string) string { return "" }}
		c := demoCmd(s, &cobra.Command{Use: "demo"}, func(d *demo) error {
			run, err := d.record(modelCall("gpt-4"))
			if err != nil {
				return err
			}
			dir, err := d.pack("only", run, nil)
			if err != nil {
				return err
			}
			return d.act("only", dir, dir, promise{pack.Pass, pack.Pass, cli.ExitPass}) // it has no claims
		})
		var args []string
		if asJSON {
			args = []string{"--json"}
		}
		if code := cli.Run(t.Context(), c, args, s); code != cli.ExitInternal {
			t.Errorf("exit %d, expected %d\n%s%s", code, cli.ExitInternal, &out, &talk)
		}
		if asJSON && (strings.Count(out.String(), `"status": "failed"`) != 1 || !strings.Contains(out.String(), `"as_promised": false`)) {
			t.Errorf("JSON: %s", &out)
		}
	}
}
