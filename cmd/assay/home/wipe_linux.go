package home

import (
	"bytes"
	"os"
	"strconv"
)

// wipeVariable overwrites a variable in the block that the kernel shows as /proc/PID/environ: a program that
// root runs could read it there. Go has its own copy of what it read. Whatever fails here, nothing is worse.
func wipeVariable(name string) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	// proc_pid_stat(5): env_start is field 50 and env_end 51; the second, a name in brackets, may hold spaces.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 49 {
		return
	}
	start, _ := strconv.ParseInt(string(fields[47]), 10, 64)
	end, _ := strconv.ParseInt(string(fields[48]), 10, 64)
	if start <= 0 || end <= start || end-start > 8<<20 {
		return
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer memory.Close()
	block := make([]byte, end-start)
	if _, err := memory.ReadAt(block, start); err != nil {
		return
	}
	defer clear(block)
	at := 0
	for pair := range bytes.SplitAfterSeq(block, []byte{0}) {
		if value, ok := bytes.CutPrefix(bytes.TrimSuffix(pair, []byte{0}), []byte(name+"=")); ok {
			_, _ = memory.WriteAt(bytes.Repeat([]byte{'*'}, len(value)), start+int64(at+len(name)+1))
		}
		at += len(pair)
	}
}
