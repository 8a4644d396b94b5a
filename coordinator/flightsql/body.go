package flightsql

import (
	"github.com/apache/arrow/go/v15/arrow/flight"
	flatbuffers "github.com/google/flatbuffers/go"
)

// The kinds of Arrow IPC messages, and the offsets of the fields that are read here (Message.fbs).
const (
	kindSchema, kindRows   = 1, 3
	fieldKind, fieldHeader = 6, 8
	fieldBuffers           = 8
	fieldCompression       = 10
	bufferBytes            = 16 // offset and length
)

// checkBody refuses a message that takes more memory to read than its length. Arrow's library allocates the claimed
// size of a buffer, compressed or not, before it checks the claim. A claim of a terabyte would end the coordinator. It
// panics if the bytes are no message.
func checkBody(m *flight.FlightData) error {
	if len(m.DataHeader) == 0 {
		return nil
	}
	message := flatbuffers.Table{Bytes: m.DataHeader, Pos: flatbuffers.GetUOffsetT(m.DataHeader)}
	field := func(t *flatbuffers.Table, at flatbuffers.VOffsetT) flatbuffers.UOffsetT {
		return flatbuffers.UOffsetT(t.Offset(at))
	}
	kind := byte(0)
	if at := field(&message, fieldKind); at > 0 {
		kind = message.GetByte(message.Pos + at)
	}
	at := field(&message, fieldHeader)
	switch {
	case kind == kindSchema:
		return nil
	case kind != kindRows || at == 0:
		return invalid("parameters come as a schema and rows, not by a dictionary", "")
	}
	var rows flatbuffers.Table
	message.Union(&rows, at)
	if field(&rows, fieldCompression) > 0 {
		return invalid("compressed parameters are not read", "send them as they are")
	}
	if at = field(&rows, fieldBuffers); at == 0 {
		return nil
	}
	first, whole := rows.Vector(at), int64(len(m.DataBody))
	for i := range rows.VectorLen(at) {
		buffer := first + flatbuffers.UOffsetT(bufferBytes*i) //nolint:gosec // a message has 1 MiB
		from, n := rows.GetInt64(buffer), rows.GetInt64(buffer+8)
		if from < 0 || n < 0 || from > whole || n > whole-from {
			return invalid("the parameters are not whole", "")
		}
	}
	return nil
}
