package dictionary

import (
	"context"
	"sync"
)

// perPerson is the number of processes that one person's questions can hold, however many connections the person has.
const perPerson = processes / 2

// workerSlots limits each person to a share of the processes. Further questions of the person wait.
type workerSlots struct {
	mu   sync.Mutex
	held map[string]*share
}

type share struct {
	seats chan struct{}
	users int // who hold a seat or wait for one
}

// take waits for a seat of the person. give returns it.
func (t *workerSlots) take(ctx context.Context, person string) (give func(), err error) {
	t.mu.Lock()
	mine := t.held[person]
	if mine == nil {
		mine = &share{seats: make(chan struct{}, perPerson)}
		t.held[person] = mine
	}
	mine.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.held, person)
		}
	}
	select {
	case mine.seats <- struct{}{}:
		return func() {
			<-mine.seats
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
