//go:build unix

package capture_test

import (
	"fmt"
	"os"
	"time"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// A program records two calls in one write: either both stand in the store or neither does.
func ExampleStore_EmitAll() {
	dir, err := os.MkdirTemp("", "assay")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store := &capture.Store{Dir: dir}
	trace, err := capture.NewTraceID(time.Now(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.EmitAll(trace, []capture.Draft{
		{Type: "model_call", Data: jcs.Obj(jcs.M("model_id", jcs.Str("m-1")), jcs.M("total_tokens", jcs.Int(12)))},
		{Type: "guardian_verdict", Data: jcs.Obj(jcs.M("verdict", jcs.Str("allow")))},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	recorded, err := store.Open(trace)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer recorded.Close()
	for r, err := range recorded.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		kind, _ := r.Get("type")
		fmt.Println(kind.Text)
	}
	// Output:
	// model_call
	// guardian_verdict
}
