package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// Whoever makes a pack and whoever verifies it read one object: the same members, the same words.
func TestRunShowsThePackAsVerifyPackDoes(t *testing.T) {
	if _, err := exec.LookPath("true"); err != nil {
		t.Skip("SKIPPED: no program to run")
	}
	t.Setenv("ASSAY_HOME", t.TempDir())
	t.Chdir(t.TempDir())
	object := func(want int, args ...string) (v map[string]any) {
		t.Helper()
		var out, talk bytes.Buffer
		code := run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &talk, Env: os.Getenv})
		if err := json.Unmarshal(out.Bytes(), &v); err != nil || code != want {
			t.Fatalf("%q: exit %d, %v\n%s%s", args, code, err, &out, &talk)
		}
		return v
	}
	for name, test := range map[string]struct {
		code int
		card string
	}{"holds": {0, "no_breakglass"}, "fails": {1, "guardian_enforcement"}} {
		made, _ := object(test.code, "run", "--json", "--allow-empty", "-c", test.card, "-o", name, "--", "true")["pack"].(map[string]any)
		at, _ := made["verified_at"].(string)
		if at == "" {
			t.Fatalf("%s: %v", name, made)
		}
		if verified := object(test.code, "verify-pack", name, "--json", "--require-claim-pass", "--now", at); !reflect.DeepEqual(made, verified) {
			for member, value := range verified {
				if !reflect.DeepEqual(made[member], value) {
					t.Errorf("%s: %s is %v, verify-pack says %v", name, member, made[member], value)
				}
			}
			if len(made) != len(verified) {
				t.Errorf("%s: %d members, verify-pack shows %d", name, len(made), len(verified))
			}
		}
	}
}
