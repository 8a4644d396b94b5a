package syntax

// The names of what Query.Today stands for, which no parameter has.
const (
	clockDay    = internal + "day"    // the day
	clockMoment = internal + "moment" // its beginning, as a timestamp
	timeOfDay   = internal + "time"   // the time of the day, which is refused
)

// clock holds what depends on when it is asked.
var clock = map[string]string{
	"current_date": clockDay, "curdate": clockDay, "today": clockDay, "utc_date": clockDay, "sysdate": clockDay,
	"now": clockMoment, "getdate": clockMoment, "getutcdate": clockMoment, "current_timestamp": clockMoment,
	"localtimestamp": clockMoment,
	"sysdatetime":    clockMoment, "utc_timestamp": clockMoment, "statement_timestamp": clockMoment,
	"transaction_timestamp": clockMoment,
	"current_time":          timeOfDay, "localtime": timeOfDay, "curtime": timeOfDay, "clock_timestamp": timeOfDay,
}
