package home

import (
	"strings"
	"testing"
)

func TestProgramsGetNoVariableThatLeadsToAKey(t *testing.T) {
	kept := WithoutKeys([]string{"PATH=/bin", "ASSAY_SIGNING_KEY=x", "ASSAY_SIGNING_KEY_FILE=x", "ASSAY_SIGNER=exec:x", "ASSAY_SIGNER_ID=x",
		"ASSAY_KEY_PASSPHRASE_FILE=x", "ASSAY_KEY_PASSPHRASE_FD=3", "ASSAY_KEY_IDENTITY_FILE=x", "assay_signing_key=x", "ASSAY_HOME=h", "ASSAY_SIGNING_KEYS=k", "odd"})
	if got := strings.Join(kept, " "); got != "PATH=/bin ASSAY_HOME=h ASSAY_SIGNING_KEYS=k odd" {
		t.Errorf("%s", got)
	}
}
