package stream

// next gives a partition another block of at least that many words. Each block is larger than the one before.
func (t *thread) next(p *part, least int) error {
	words := leastBlock * t.op.words
	if p.now != nil {
		p.full = append(p.full, p.now)
		words = min(4*cap(p.now), mostBlock)
	}
	if n := len(t.spare); n > 0 && least <= mostBlock {
		p.now = t.spare[n-1][:0]
		t.spare = t.spare[:n-1]
		return nil
	}
	words = max(words, least)
	p.now = nil
	if err := t.hold(int64(4 * words)); err != nil {
		return err
	}
	p.now = make([]uint32, 0, words)
	return nil
}

// hold counts memory. If it is too much, it drops the later half of the partitions, or all pages. The other threads do
// the same when they look.
func (t *thread) hold(bytes int64) error {
	op := t.op
	if op.used.Add(bytes) <= op.most {
		return nil
	}
	if t.look() { // other threads may also have to free theirs
		return nil
	}
	// pages hold patients of all partitions; the other threads will drop theirs
	if op.how.CompareAndSwap(counted, given) {
		t.forget()
		return nil
	}
	if t.to-op.from < 2 {
		return ErrTooMuch
	}
	op.limit.CompareAndSwap(int64(t.to), int64(op.from+(t.to-op.from)/2))
	t.look()
	return nil
}

// look frees the blocks of partitions that this reading has dropped. It is true if there were any since the last call.
func (t *thread) look() bool {
	to := int(t.op.limit.Load())
	less := to < t.to
	for i := to; i < t.to; i++ {
		t.free(&t.parts[i])
	}
	t.to = to
	return less
}

// free frees the blocks of a partition.
func (t *thread) free(p *part) {
	bytes := int64(0)
	for _, b := range append(p.full, p.now) {
		bytes += int64(4 * cap(b))
		if cap(b) == mostBlock && len(t.spare) < partitions {
			t.spare, bytes = append(t.spare, b), bytes-4*mostBlock
		}
	}
	t.op.used.Add(-bytes)
	*p = part{}
}
