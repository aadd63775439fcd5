package demo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
)

func TestADemoThatShowsSomethingElseFails(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out, talk bytes.Buffer
		s := cmd.Streams{Out: &out, Err: &talk, Env: func(string) string { return "" }}
		c := demoCmd(s, &cobra.Command{Use: "demo"}, func(d *demo) error {
			run, err := d.record(modelCall("gpt-4"))
			if err != nil {
				return err
			}
			dir, err := d.pack("only", run, nil)
			if err != nil {
				return err
			}
			return d.act("only", dir, dir, promise{pack.Pass, pack.Pass, cmd.ExitPass}) // it has no claims
		})
		var args []string
		if asJSON {
			args = []string{"--json"}
		}
		if code := cmd.Run(t.Context(), c, args, s); code != cmd.ExitInternal {
			t.Errorf("exit %d, expected %d\n%s%s", code, cmd.ExitInternal, &out, &talk)
		}
		if asJSON && (strings.Count(out.String(), `"status": "failed"`) != 1 || !strings.Contains(out.String(), `"as_promised": false`)) {
			t.Errorf("JSON: %s", &out)
		}
	}
}
