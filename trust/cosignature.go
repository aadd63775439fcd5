package trust

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"filippo.io/mldsa"
)

// Cosignature is one verified cosignature by a witness of the policy.
//
// Time is the witness's word for when it had seen no larger tree of the log. It is covered by the
// cosignature and never judged here: the package has no clock, and a limit is for the caller's
// policy to set. It is not the time of the entry, nor an RFC 3161 time.
type Cosignature struct {
	Witness   string // policy name
	KeyName   string
	Algorithm Algorithm
	Time      time.Time // UTC, whole seconds, after 1970
	Line      []byte    // the whole signature line, with its newline
}

const (
	subtreeLabel   = "subtree/v1\n\x00"
	maxSubtreeName = 255 // bytes of a cosigner name and of an origin under ML-DSA-44
	timestampSize  = 8
)

// cosignedMessage returns what a cosigner's key signs for the whole tree of cp, whose text is text.
func (k *publicKey) cosignedMessage(cp *Checkpoint, text []byte, timestamp uint64) ([]byte, error) {
	if k.alg == MLDSA44Cosigner {
		return subtreeMessage(k.name, timestamp, cp)
	}
	// SPEC tlog-cosignature: "two newline (U+000A) terminated lines (one header line and one
	// timestamp line) followed by the whole note body of the cosigned checkpoint"
	message := make([]byte, 0, len(text)+64)
	message = append(message, "cosignature/v1\ntime "...)
	message = strconv.AppendUint(message, timestamp, 10)
	message = append(message, '\n')
	return append(message, text...), nil
}

// subtreeMessage is the cosigned_message structure of tlog-cosignature in TLS encoding, for
// start 0 and end cp.Size. Extension lines are no part of it.
func subtreeMessage(cosigner string, timestamp uint64, cp *Checkpoint) ([]byte, error) {
	// SPEC tlog-cosignature: "opaque cosigner_name<1..2^8-1>", "opaque log_origin<1..2^8-1>"
	for _, name := range []string{cosigner, cp.Origin} {
		if len(name) < 1 || len(name) > maxSubtreeName {
			return nil, fmt.Errorf("ML-DSA-44 takes names of 1 to %d bytes, not %d", maxSubtreeName, len(name))
		}
	}
	message := []byte(subtreeLabel)
	message = append(message, byte(len(cosigner)))
	message = append(message, cosigner...)
	message = binary.BigEndian.AppendUint64(message, timestamp)
	message = append(message, byte(len(cp.Origin)))
	message = append(message, cp.Origin...)
	message = binary.BigEndian.AppendUint64(message, 0) // start
	message = binary.BigEndian.AppendUint64(message, uint64(cp.Size))
	return append(message, cp.Root[:]...), nil
}

// verifyCosignature verifies a timestamped_signature over the whole tree of cp, whose text is text.
func (k *publicKey) verifyCosignature(cp *Checkpoint, text, blob []byte) (timestamp uint64, ok bool) {
	// Any length but that of a timestamp and the algorithm's signature fails: here for the
	// timestamp, in the two Verify functions for the rest.
	if len(blob) < timestampSize {
		return 0, false
	}
	timestamp = binary.BigEndian.Uint64(blob)
	// SPEC tlog-cosignature: "It MUST NOT exceed 2^63 - 1"
	if timestamp > math.MaxInt64 {
		return 0, false
	}
	message, err := k.cosignedMessage(cp, text, timestamp)
	if err != nil {
		return 0, false
	}
	if k.alg == MLDSA44Cosigner {
		ok = mldsa.Verify(k.mldsa, message, blob[timestampSize:], nil) == nil
	} else {
		ok = VerifyEd25519(k.bytes, message, blob[timestampSize:])
	}
	return timestamp, ok
}
