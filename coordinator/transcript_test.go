package coordinator

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/planner"
)

// histograms count three bytes of each vector that the coordinator receives, and of each sum of some of the vectors:
// the lowest byte, one in the middle, which exact numbers and noise reach, and the highest.
type histograms map[string]*[256]float64

func (h histograms) add(vectors [][]int64) {
	for subset := 1; subset < 1<<len(vectors)-1; subset++ {
		for i := range vectors[0] {
			sum := int64(0)
			for j, v := range vectors {
				if subset>>j&1 == 1 {
					sum += v[i]
				}
			}
			for _, at := range []int{0, 3, 7} {
				name := fmt.Sprintf("byte %d of the sum of %03b", at, subset)
				if h[name] == nil {
					h[name] = new([256]float64)
				}
				h[name][byte(uint64(sum)>>(8*at))]++
			}
		}
	}
}

// differs returns the name of a histogram whose distribution differs from the other's. The test is a two-sample chi
// squared with 255 degrees of freedom, beyond 6.5 deviations. It returns an empty text if there is none.
func (h histograms) differs(other histograms) string {
	for name, a := range h {
		b, x := other[name], 0.0
		for i := range a {
			if n := a[i] + b[i]; n > 0 {
				x += (a[i] - b[i]) * (a[i] - b[i]) / n
			}
		}
		if x > 255+6.5*math.Sqrt(2*255) {
			return fmt.Sprintf("%s: chi squared %.0f", name, x)
		}
	}
	return ""
}

// All messages of a masked query that a coordinator receives can be simulated from the answer alone: two vectors of
// random bits, and a third that makes the sum right. The same test tells vectors that have noise but no masks apart at
// once. The number of bytes does not depend on the data. (Package dp tests whether the answer's noise has the right
// distribution.)
func TestTranscriptIsSimulated(t *testing.T) {
	sessions := 20 // of 1,000 numbers
	if os.Getenv("INTRAMUROS_FULL") != "" {
		sessions = 1000
	}
	f := &federation{hospitals: map[string]*hospital{}, log: &strings.Builder{}, maxSites: 1}
	f.columns = "      code: {type: int, nullable: false, domain: " + domain(500) + "}\n"
	openFederation(t, f, func(c *Config) { c.Sealed.Masks = true })
	f.propose(t, "sealed", func(d *study.Document) {
		d.Budget, d.Sealed, d.Expires = dp.Budget{Accounting: dp.ZCDP, Epsilon: 1e3, Delta: 1e-6}, true, time.Now().Add(24*time.Hour)
	})
	for _, h := range f.hospitals {
		h.real = f.catalog
	}
	transcript, simulated := histograms{}, histograms{}
	for i := range sessions {
		_, err := f.Query(t.Context(), asker("alice"), Request{
			SQL:      fmt.Sprintf("SELECT code, sex, count(*) FROM person WHERE age <> %d GROUP BY code, sex", i),
			Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.1}},
		}, nil)
		must(t, err)
		vectors, made := make([][]int64, 3), make([][]int64, 3)
		for j, name := range []string{"a", "b", "c"} {
			h := f.hospital(name)
			h.mu.Lock()
			vectors[j] = h.sent
			h.mu.Unlock()
			if len(vectors[j]) != 1000 {
				t.Fatalf("%d numbers", len(vectors[j]))
			}
			made[j] = make([]int64, 1000)
		}
		bits := make([]byte, 16*1000)
		rand.Read(bits)
		for k := range 1000 {
			answer := vectors[0][k] + vectors[1][k] + vectors[2][k]
			made[0][k] = int64(binary.LittleEndian.Uint64(bits[16*k:]))   //nolint:gosec // modulo 2^64
			made[1][k] = int64(binary.LittleEndian.Uint64(bits[16*k+8:])) //nolint:gosec // modulo 2^64
			made[2][k] = answer - made[0][k] - made[1][k]
		}
		transcript.add(vectors)
		simulated.add(made)
	}
	if d := transcript.differs(simulated); d != "" {
		t.Errorf("the transcript is not the simulator's: %s", d)
	}
	noise := dp.Noise{Mechanism: dp.Gaussian, Epsilon: 0.1, Limit: 1}
	share, err := noise.Share(dp.Coordinate{Size: 1, Weight: 1}, dp.Shares{Sites: 1, Honest: 2})
	must(t, err)
	bare := histograms{}
	for range sessions {
		vectors := make([][]int64, 3)
		for j := range vectors {
			for range 1000 {
				vectors[j] = append(vectors[j], share.Cover(benchExact))
			}
		}
		bare.add(vectors)
	}
	if bare.differs(simulated) == "" {
		t.Error("vectors without masks pass for the simulator's")
	}
}
