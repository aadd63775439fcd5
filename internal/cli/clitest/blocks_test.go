//go:build unix

package clitest

import (
	"strings"
	"testing"
)

func TestABlockOfADocumentIsReadAsItStands(t *testing.T) {
	blocks, err := Blocks("x.md", "text\n```console needs=\"curl\"\n$ one \\\n  --flag\nline\n$ two\n```\n```text\nwhatever\n```\n````console not-run=\"wants a disk\"\n$ x\n```\n````\n")
	if err != nil || len(blocks) != 3 {
		t.Fatalf("%+v, %v", blocks, err)
	}
	if b := blocks[0]; b.Line != 2 || b.Needs != "curl" || len(b.Steps) != 2 || b.Steps[0].Command != "one \\\n  --flag" || strings.Join(b.Steps[0].Output, "|") != "line" || b.Steps[1].Command != "two" {
		t.Errorf("%+v", b)
	}
	if b := blocks[2]; b.NotRun != "wants a disk" || len(b.Steps) != 1 {
		t.Errorf("%+v", b)
	}
	for _, text := range []string{"```\nx\n```\n", "```console\nx\n```\n", "```text\n$ ls\n```\n", "```console\n$ ls\n", "```console not-run\n$ ls\n```\n", "```console why=\"x\"\n$ ls\n```\n"} {
		if blocks, err := Blocks("x.md", text); err == nil {
			t.Errorf("%q was read as %+v", text, blocks)
		}
	}
}

func TestWhatACommandPrintsIsComparedButForWhatChanges(t *testing.T) {
	const printed = "made led\nlog vkey: ledger.example/2026+dd05773f+AbDwSZWo6f4UzD901JhiQN0IrqhtxYROpqyG\npack_20261130T195206_00fcffa7: entry 0, cosigned by w1.example, w3.example\nlast\n"
	for shown, same := range map[string]bool{
		"made led\n…":      true,
		"…\nlast":          true,
		"made led\nlast":   false,
		"made …\n…\nlast":  true,
		"made led":         false,
		"made led\n…\nlas": false,
		"made led\nlog vkey: ledger.example/2026+00000000+BBBBBBBBBBBBBBBBBBBB\npack_20250101T000000_ffffffff: entry 0, cosigned by w2.example\nlast": true,
		"made led\nlog vkey: ledger.example/2027+00000000+BBBBBBBBBBBBBBBBBBBB\n…":                                                                    false,
		"…\npack_20250101T000000_ffffffff: entry 1, cosigned by w2.example\nlast":                                                                     false,
	} {
		if Prints(strings.Split(shown, "\n"), printed) != same {
			t.Errorf("%q: expected %t", shown, same)
		}
	}
}

func TestARunStopsAtTheFirstCommandThatFails(t *testing.T) {
	printed, failed := runSteps(t, t.TempDir(), "true", []Step{{Command: "x=1; echo a"}, {Command: "echo $x; (exit 7)"}, {Command: "echo c"}})
	if !failed || len(printed) != 2 || printed[0] != "a\n" || strings.Join(strings.Fields(printed[1]), " ") != "7 1" {
		t.Errorf("%q, %t", printed, failed)
	}
	printed, failed = runSteps(t, t.TempDir(), "true", []Step{{Command: "sleep 600 &"}, {Command: "echo b >&2"}})
	if failed || len(printed) != 2 || strings.TrimSpace(printed[1]) != "b" {
		t.Errorf("%q, %t", printed, failed)
	}
}
