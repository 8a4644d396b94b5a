package seal

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var trial = Request{Federation: "france", Study: "copd", Query: "00ff", Digest: [32]byte{1, 2, 3}}

// site is a hospital in one execution.
type site struct {
	name   string
	key    Key
	signer ed25519.PrivateKey
}

func sites(t testing.TB, names ...string) (all []site, members []Member) {
	t.Helper()
	slices.Sort(names)
	for _, name := range names {
		key, err := NewKey()
		must(t, err)
		_, signer, err := ed25519.GenerateKey(nil)
		must(t, err)
		s := site{name, key, signer}
		all = append(all, s)
		members = append(members, trial.Member(name, key, signer))
	}
	return all, members
}

func (s site) masks(t testing.TB, r Request, size int, members []Member) []int64 {
	t.Helper()
	v := make([]int64, size)
	must(t, r.Mask(v, s.name, s.key, members))
	return v
}

// uniform reports whether bits look like those of a fair coin: each of the 64 counts is within 6.5 deviations.
func uniform(vectors ...[]int64) bool {
	var ones [64]int
	n := 0
	for _, v := range vectors {
		for _, x := range v {
			n++
			for b := range 64 {
				ones[b] += int(uint64(x) >> b & 1)
			}
		}
	}
	for _, k := range ones {
		if d := float64(2*k - n); d*d > 6.5*6.5*float64(n) {
			return false
		}
	}
	return true
}

func sum(vectors ...[]int64) []int64 {
	out := make([]int64, len(vectors[0]))
	for _, v := range vectors {
		for i, x := range v {
			out[i] += x
		}
	}
	return out
}

// The masks of all members cancel. The masks of fewer members do not, and each vector and each sum of a proper subset
// is uniform.
func TestMasksCancelOverExactlyTheMembers(t *testing.T) {
	const size = 4096 + 17
	all, members := sites(t, "arcachon", "bordeaux", "langon", "libourne")
	var masks [][]int64
	for _, s := range all {
		masks = append(masks, s.masks(t, trial, size, members))
	}
	for subset := 1; subset < 1<<len(all); subset++ {
		var chosen [][]int64
		for i := range all {
			if subset>>i&1 == 1 {
				chosen = append(chosen, masks[i])
			}
		}
		total := sum(chosen...)
		if bits.OnesCount(uint(subset)) == len(all) {
			if slices.ContainsFunc(total, func(x int64) bool { return x != 0 }) {
				t.Error("the masks of all members do not cancel")
			}
		} else if !uniform(total) {
			t.Errorf("the masks of the members %b add up to what is not uniform", subset)
		}
	}
	if uniform(make([]int64, size)) {
		t.Error("zeros pass for uniform")
	}
	alone, one := sites(t, "arcachon")
	if v := alone[0].masks(t, trial, 3, one); !slices.Equal(v, []int64{0, 0, 0}) {
		t.Errorf("one hospital alone has the masks %v", v)
	}
}

// A coordinator that tells hospitals different things gets uniform numbers: another list, request, study or query, a
// key of another execution, or a hospital that it invented.
func TestLiarsGetUniformNumbers(t *testing.T) {
	const size = 5000
	all, members := sites(t, "a", "b", "c")
	again, anew := sites(t, "a", "b", "c") // the same hospitals, in another execution
	honest := func(i int) []int64 { return all[i].masks(t, trial, size, members) }
	other := trial
	other.Digest[31] ^= 1
	replay := trial
	replay.Query = "00fe"
	for name, vectors := range map[string][][]int64{
		"a living hospital left out": {all[0].masks(t, trial, size, members[:2]), all[1].masks(t, trial, size, members[:2]), honest(2)},
		"halves":                     {all[0].masks(t, trial, size, members[:2]), all[1].masks(t, trial, size, members)},
		"another request to one":     {honest(0), honest(1), all[2].masks(t, other, size, members)},
		"another query to one":       {honest(0), honest(1), all[2].masks(t, replay, size, members)},
		"an old key of one":          {all[0].masks(t, trial, size, []Member{members[0], members[1], anew[2]}), all[1].masks(t, trial, size, []Member{members[0], members[1], anew[2]}), honest(2)},
		"two executions":             {honest(0), honest(1), again[2].masks(t, trial, size, anew)},
		"one of them twice":          {honest(0), honest(0), honest(1), honest(2)},
	} {
		if !uniform(sum(vectors...)) {
			t.Errorf("%s: what is added up is not uniform", name)
		}
	}
}

func TestRefusals(t *testing.T) {
	all, members := sites(t, "a", "b")
	strangers, _ := sites(t, "a", "x")
	if err := trial.Mask(make([]int64, 1), "x", strangers[1].key, members); !errors.Is(err, ErrSeal) {
		t.Errorf("it masks for members that it is not of: %v", err)
	}
	if err := trial.Mask(make([]int64, 1), "a", strangers[0].key, members); !errors.Is(err, ErrSeal) {
		t.Errorf("it masks with another key than it told: %v", err)
	}
	low := slices.Clone(members)
	low[1].Key = make([]byte, 32) // a point of low order, for which every secret is zero
	if err := trial.Mask(make([]int64, 1), "a", all[0].key, low); !errors.Is(err, ErrSeal) {
		t.Errorf("a key of low order: %v", err)
	}
	public := func(i int) ed25519.PublicKey { return all[i].signer.Public().(ed25519.PublicKey) }
	must(t, trial.Verify(members[0], public(0)))
	other, renamed, rekeyed := trial, members[0], members[0]
	other.Query = "00fe"
	renamed.Name, rekeyed.Key = "b", members[1].Key
	for name, err := range map[string]error{
		"another hospital's": trial.Verify(members[0], public(1)),
		"for another query":  other.Verify(members[0], public(0)),
		"under another name": trial.Verify(renamed, public(0)),
		"another key":        trial.Verify(rekeyed, public(0)),
		"no key is pinned":   trial.Verify(members[0], nil),
	} {
		if !errors.Is(err, ErrSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseMembers(t *testing.T) {
	_, members := sites(t, "a", "b", "c")
	encode := func(m any) []byte {
		b, err := json.Marshal(m)
		must(t, err)
		return b
	}
	got, err := ParseMembers(encode(members))
	if err != nil || len(got) != 3 {
		t.Fatal(err)
	}
	short := slices.Clone(members)
	short[1].Key = short[1].Key[:31]
	for name, b := range map[string][]byte{
		"none": encode([]Member{}), "nothing": nil, "twice": encode([]Member{members[0], members[0]}), "in another order": encode([]Member{members[1], members[0]}),
		"a short key": encode(short), "no name": encode([]Member{{Key: members[0].Key, Signature: members[0].Signature}}), "more after": append(encode(members), '1'),
		"an unknown field": []byte(`[{"name":"a","x":1}]`), "too many": encode(make([]Member, MaxMembers+1)),
	} {
		if _, err := ParseMembers(b); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseMembers(f *testing.F) {
	_, members := sites(f, "a", "b")
	b, err := json.Marshal(members)
	must(f, err)
	f.Add(b)
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := ParseMembers(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(members)
		must(t, err)
		if same, err := ParseMembers(again); err != nil || fmt.Sprint(same) != fmt.Sprint(members) {
			t.Errorf("%s reads back as %v, %v", b, same, err)
		}
		key, err := NewKey()
		must(t, err)
		if trial.Mask(make([]int64, 2), members[0].Name, key, members) == nil {
			t.Error("it masked with a key that is not in the list")
		}
	})
}

// BenchmarkSeal measures the work of one hospital for an answer: it verifies all signatures and masks its vector.
func BenchmarkSeal(b *testing.B) {
	for _, hospitals := range []int{3, 10, 186} {
		names := make([]string, hospitals)
		for i := range names {
			names[i] = fmt.Sprintf("h%03d", i)
		}
		all, members := sites(b, names...)
		for _, size := range []int{1, 1_000, 100_000} {
			vector := make([]int64, size)
			b.Run(fmt.Sprintf("%d hospitals, %d numbers", hospitals, size), func(b *testing.B) {
				for range b.N {
					for i, m := range members[1:] {
						if err := trial.Verify(m, all[i+1].signer.Public().(ed25519.PublicKey)); err != nil {
							b.Fatal(err)
						}
					}
					if err := trial.Mask(vector, all[0].name, all[0].key, members); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
