package main

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// The search finds sums as they are in memory, in a record of several groups or in cells, and as the ledger writes
// them.
func TestExactPairIsFound(t *testing.T) {
	p := exactPair{men: 1_234_567, women: 2_345_678}
	words := func(numbers ...uint64) (b []byte) {
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
		return b
	}
	for _, c := range []struct {
		b    []byte
		want bool
	}{
		{words(1, 1_234_567, 2_345_678, 9), true},
		{append([]byte{7}, words(2_345_678, 1_234_567)...), true},
		{words(1_234_567, 0, 2_345_678), false},
		{fmt.Appendf(nil, `{"keys":[8507],"noisy":[%d]},{"keys":[8532],"noisy":[%d]}`, p.men, p.women), true},
		{fmt.Appendf(nil, `{"keys":[8507],"noisy":[%d]},{"keys":[8532],"noisy":[%d]}`, p.men, p.women+1), false},
		{nil, false},
	} {
		if p.in(c.b) != c.want {
			t.Errorf("%q: found %v", c.b, !c.want)
		}
	}
}
