// Package worker runs one job in separate processes, so that it can be killed: code that may use up all memory, or that
// ignores interrupts, such as an embedded database. The processes are children of this one and run the same program.
//
// # A process works for one request at a time
//
// So a killed request takes no other with it, and there is no doubt about which one was at fault. Pool holds as many
// processes as may work at the same time. They are started as needed, and kept. A process that ended is replaced at
// once, and its replacement waits, opened, for the next request.
//
// # What ends a process
//
// Memory above the ceiling: the parent checks it every few milliseconds. A request that has not ended within the grace
// after its context ended: it is told once, politely, and then the process is killed, whatever it is doing. The
// parent's own end: the child notices that the pipe is closed, and on Linux the kernel also kills it, so there is no
// orphan. Memory is only watched on Linux.
//
// # What is repeated
//
// If the process of a request ends by itself before it sent any reply, the request is tried once more in a new process.
// Somebody may have killed the process, or the kernel, which kills workers before daemons when memory runs out. This is
// safe for a job that only computes, as ours do: a fragment is a function of the data, and was charged before. A
// request that was killed for its memory or its time is not repeated.
//
// # What a child has
//
// The program, two pipes, and what comes through them: setup and requests. These may have secrets, which therefore
// appear in no argument and no environment. The child's environment is empty. The parent's files and sockets are closed
// in it, by Go's close-on-exec. Its standard output and error go nowhere, since a dying library may print values. It
// leaves no core dump.
//
// # Why not a library
//
// With one request at a time there is nothing to multiplex, so the protocol is just messages of encoding/gob over two
// pipes. Both ends are the same program, even if it has been replaced on disk in between.
package worker
