package stream

// next gives a partition another block, of so many words or more: each is larger than the one before.
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

// hold counts memory, and lets go of the later half of the partitions where it is too much, or of all pages. So do the
// other threads once they look.
func (t *thread) hold(bytes int64) error {
	op := t.op
	if op.used.Add(bytes) <= op.most {
		return nil
	}
	if t.look() { // others may have to give back theirs, too
		return nil
	}
	if op.how.CompareAndSwap(counted, given) { // pages have patients of all partitions; the other threads will forget theirs
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

// look gives back the blocks of partitions that this reading has let go of; true: there were some since it looked last.
func (t *thread) look() bool {
	to := int(t.op.limit.Load())
	less := to < t.to
	for i := to; i < t.to; i++ {
		t.free(&t.parts[i])
	}
	t.to = to
	return less
}

// free gives back the blocks of a partition.
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
