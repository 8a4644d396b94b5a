package syntax

// The internal names of what Query.Today provides. No parameter has these names.
const (
	clockDay    = internal + "day"    // the day
	clockMoment = internal + "moment" // the beginning of the day, as a timestamp
	timeOfDay   = internal + "time"   // the time of day, which is refused
)

// clock lists the words and functions whose value depends on the time of the question.
var clock = map[string]string{
	"current_date": clockDay, "curdate": clockDay, "today": clockDay, "utc_date": clockDay, "sysdate": clockDay,
	"now": clockMoment, "getdate": clockMoment, "getutcdate": clockMoment, "current_timestamp": clockMoment,
	"localtimestamp": clockMoment,
	"sysdatetime":    clockMoment, "utc_timestamp": clockMoment, "statement_timestamp": clockMoment,
	"transaction_timestamp": clockMoment,
	"current_time":          timeOfDay, "localtime": timeOfDay, "curtime": timeOfDay, "clock_timestamp": timeOfDay,
}
