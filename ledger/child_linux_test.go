package ledger

import (
	"os/exec"
	"syscall"
	"testing"
)

// STO-34
func TestTheKernelEndsAChildWithItsParent(t *testing.T) {
	plain := exec.Command("child")
	killWithParent(plain)
	grouped := exec.Command("child")
	grouped.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	killWithParent(grouped)
	if plain.SysProcAttr.Pdeathsig != syscall.SIGKILL || grouped.SysProcAttr.Pdeathsig != syscall.SIGKILL || !grouped.SysProcAttr.Setpgid {
		t.Errorf("%+v, %+v", plain.SysProcAttr, grouped.SysProcAttr)
	}
}
