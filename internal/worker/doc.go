// Package worker runs one job in processes of their own, so that it can be killed: code that may take all memory, or
// that heeds no interrupt, such as an embedded database. The processes are children of this one and run the same
// program.
//
// # A process works for one request at a time
//
// So a request that must be killed takes no other with it, and who is to blame needs no guess. Pool holds as many
// processes as may work at once, started as they are needed and kept; one that ended is replaced at once, and waits,
// opened, for the next request.
//
// # What ends a process
//
// Memory above the ceiling, watched every few milliseconds by the parent. A request that has not ended within the
// grace after its context did: it is told once, politely, and then the process is killed, whatever it is doing. The
// parent's own end: the child notices that the pipe is closed, and on Linux the kernel kills it as well, so there is
// no orphan. Elsewhere than on Linux no memory is watched.
//
// # What is repeated
//
// A request whose process went away by itself, before it gave anything, is tried once more in a new one: somebody may
// have killed the process, or the kernel, which takes workers before daemons when memory runs out. This is safe where
// a job computes and does nothing else, as ours do: a fragment is a function of the data, and was charged before.
// What was killed for its memory or its time is not repeated.
//
// # What a child has
//
// The program, two pipes, and what comes through them: setup and requests, secrets among them, which so stand in no
// argument and no environment. Its environment is empty. The parent's files and sockets are closed in it, by Go's
// close-on-exec. Its standard output and error go nowhere, since what a library prints when it dies may quote values;
// it leaves no core dump.
//
// # Why not a library
//
// With one request at a time there is nothing to multiplex, so messages of encoding/gob over two pipes are all that
// is left of a protocol. Both ends are the same program, also where it has been replaced on disk meanwhile.
package worker
