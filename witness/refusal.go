package witness

import "fmt"

// Refusal is the answer to a request that gets no cosignature.
type Refusal struct {
	Status int   // HTTP status as tlog-witness assigns it
	Size   int64 // with 409: the size of the last cosigned checkpoint
	Err    error // why; safe to show to the one who asked
}

func (r *Refusal) Error() string { return "witness refuses: " + r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

func newRefusal(status int, format string, args ...any) error {
	return &Refusal{Status: status, Err: fmt.Errorf(format, args...)}
}
