package flightsql

import (
	"context"
	"runtime/debug"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql/schema_ref"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// typeNames are the SQL names of types.
var typeNames = map[value.Type]string{
	value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE", value.TypeText: "VARCHAR",
	value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP",
}

// The values of SqlInfo's enumerations that are used here, from FlightSql.proto.
const (
	caseInsensitive  = 1 // SqlSupportedCaseSensitivity
	nullsSortedHigh  = 0 // SqlNullOrdering: after all values, and first with DESC
	groupByUnrelated = 0 // SqlSupportedGroupBy, a bit
	minimumGrammar   = 0 // SupportedSqlGrammar, a bit
	ansi92Entry      = 0 // SupportedAnsi92SqlGrammarLevel, a bit
	limitedOuter     = 1 // SqlOuterJoinsSupportLevel: bits 1, limited
	noTransactions   = 0 // SqlTransactionIsolationLevel
	transactions     = 1 // SqlSupportedTransaction
	forwardOnly      = 1 // SqlSupportedResultSetType, a bit
	readOnlyResult   = 1 // SqlSupportedResultSetConcurrency, a bit
	inComparisons    = 0 // SqlSupportedSubqueries, bits, as the next three
	inExists         = 1
	inIns            = 2
	inQuantified     = 3
	union            = 0 // SqlSupportedUnions, bits, as the next
	unionAll         = 1
)

// functionNames lists the names of the planner's functions of a kind.
func functionNames(is func(f planner.Function) bool) []string {
	var all []string
	for _, f := range planner.Functions() {
		if is(f) {
			all = append(all, f.Name())
		}
	}
	return all
}

// working lists the scalar functions that work on a kind of values.
func working(on scalar.Works) []string {
	return functionNames(func(f planner.Function) bool { return f.Works == on })
}

// aggregate selects functions whose names are ordinary names unless they are called.
func aggregate(f planner.Function) bool { return f.Aggregate }

// general selects what drivers regard as system functions: choices among values of any type, and functions in FROM.
func general(f planner.Function) bool { return f.Works == scalar.OnAny || f.Table }

// registerInfo describes this server to clients. It denies support for a catalog or schema before a table's name, so
// that drivers write table names alone, as queries need them.
func (d *door) registerInfo() error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	for id, v := range map[flightsql.SqlInfo]any{
		flightsql.SqlInfoFlightSqlServerName:               "Intramuros",
		flightsql.SqlInfoFlightSqlServerVersion:            version,
		flightsql.SqlInfoFlightSqlServerArrowVersion:       arrow.PkgVersion,
		flightsql.SqlInfoFlightSqlServerReadOnly:           true,
		flightsql.SqlInfoFlightSqlServerSql:                true,
		flightsql.SqlInfoFlightSqlServerSubstrait:          false,
		flightsql.SqlInfoFlightSqlServerTransaction:        int32(transactions),
		flightsql.SqlInfoFlightSqlServerCancel:             true,
		flightsql.SqlInfoFlightSqlServerStatementTimeout:   int32(0),
		flightsql.SqlInfoFlightSqlServerTransactionTimeout: int32(0),

		flightsql.SqlInfoDDLCatalog: false, flightsql.SqlInfoDDLSchema: false, flightsql.SqlInfoDDLTable: false,
		flightsql.SqlInfoIdentifierCase: int32(caseInsensitive), flightsql.SqlInfoIdentifierQuoteChar: `"`, flightsql.SqlInfoQuotedIdentifierCase: int32(caseInsensitive),
		flightsql.SqlInfoAllTablesAreASelectable: true, flightsql.SqlInfoNullOrdering: int32(nullsSortedHigh),
		flightsql.SqlInfoKeywords:                                            functionNames(aggregate),
		flightsql.SqlInfoNumericFunctions:                                    working(scalar.OnNumbers),
		flightsql.SqlInfoStringFunctions:                                     working(scalar.OnTexts),
		flightsql.SqlInfoSystemFunctions:                                     functionNames(general),
		flightsql.SqlInfoDateTimeFunctions:                                   working(scalar.OnTimes),
		flightsql.SqlInfoSearchStringEscape:                                  `\`,
		flightsql.SqlInfoExtraNameChars:                                      "",
		flightsql.SqlInfoSupportsColumnAliasing:                              true,
		flightsql.SqlInfoNullPlusNullIsNull:                                  true,
		flightsql.SqlInfoSupportsConvert:                                     map[int32][]int32{},
		flightsql.SqlInfoSupportsTableCorrelationNames:                       true,
		flightsql.SqlInfoSupportsDifferentTableCorrelationNames:              false,
		flightsql.SqlInfoSupportsExpressionsInOrderBy:                        true,
		flightsql.SqlInfoSupportsOrderByUnrelated:                            true,
		flightsql.SqlInfoSupportedGroupBy:                                    int32(1 << groupByUnrelated),
		flightsql.SqlInfoSupportsLikeEscapeClause:                            true,
		flightsql.SqlInfoSupportsNonNullableColumns:                          true,
		flightsql.SqlInfoSupportedGrammar:                                    int32(1 << minimumGrammar),
		flightsql.SqlInfoANSI92SupportedLevel:                                int32(1 << ansi92Entry),
		flightsql.SqlInfoSupportsIntegrityEnhancementFacility:                false,
		flightsql.SqlInfoOuterJoinsSupportLevel:                              int32(1 << limitedOuter),
		flightsql.SqlInfoSchemaTerm:                                          "schema",
		flightsql.SqlInfoProcedureTerm:                                       "procedure",
		flightsql.SqlInfoCatalogTerm:                                         "federation",
		flightsql.SqlInfoCatalogAtStart:                                      true,
		flightsql.SqlInfoSchemasSupportedActions:                             int32(0),
		flightsql.SqlInfoCatalogsSupportedActions:                            int32(0),
		flightsql.SqlInfoSupportedPositionedCommands:                         int32(0),
		flightsql.SqlInfoSelectForUpdateSupported:                            false,
		flightsql.SqlInfoStoredProceduresSupported:                           false,
		flightsql.SqlInfoSupportedSubqueries:                                 int32(1<<inComparisons | 1<<inExists | 1<<inIns | 1<<inQuantified),
		flightsql.SqlInfoCorrelatedSubqueriesSupported:                       true,
		flightsql.SqlInfoSupportedUnions:                                     int32(1<<union | 1<<unionAll),
		flightsql.SqlInfoMaxBinaryLiteralLen:                                 int64(0),
		flightsql.SqlInfoMaxCharLiteralLen:                                   int64(0),
		flightsql.SqlInfoMaxColumnNameLen:                                    int64(0),
		flightsql.SqlInfoMaxColumnsInGroupBy:                                 int64(0),
		flightsql.SqlInfoMaxColumnsInIndex:                                   int64(0),
		flightsql.SqlInfoMaxColumnsInOrderBy:                                 int64(0),
		flightsql.SqlInfoMaxColumnsInSelect:                                  int64(0),
		flightsql.SqlInfoMaxColumnsInTable:                                   int64(0),
		flightsql.SqlInfoMaxConnections:                                      int64(0),
		flightsql.SqlInfoMaxCursorNameLen:                                    int64(0),
		flightsql.SqlInfoMaxIndexLen:                                         int64(0),
		flightsql.SqlInfoDBSchemaNameLen:                                     int64(0),
		flightsql.SqlInfoMaxProcedureNameLen:                                 int64(0),
		flightsql.SqlInfoMaxCatalogNameLen:                                   int64(0),
		flightsql.SqlInfoMaxRowSize:                                          int64(0),
		flightsql.SqlInfoMaxRowSizeIncludesBlobs:                             false,
		flightsql.SqlInfoMaxStatementLen:                                     int64(syntax.MaxSQL),
		flightsql.SqlInfoMaxStatements:                                       int64(0),
		flightsql.SqlInfoMaxTableNameLen:                                     int64(0),
		flightsql.SqlInfoMaxTablesInSelect:                                   int64(0),
		flightsql.SqlInfoMaxUsernameLen:                                      int64(0),
		flightsql.SqlInfoDefaultTransactionIsolation:                         int64(noTransactions),
		flightsql.SqlInfoTransactionsSupported:                               false,
		flightsql.SqlInfoSupportedTransactionsIsolationlevels:                int32(1 << noTransactions),
		flightsql.SqlInfoDataDefinitionCausesTransactionCommit:               false,
		flightsql.SqlInfoDataDefinitionsInTransactionsIgnored:                false,
		flightsql.SqlInfoSupportedResultSetTypes:                             int32(1 << forwardOnly),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetUnspecified:       int32(0),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetForwardOnly:       int32(1 << readOnlyResult),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollSensitive:   int32(0),
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollInsensitive: int32(0),
		flightsql.SqlInfoBatchUpdatesSupported:                               false,
		flightsql.SqlInfoSavePointsSupported:                                 false,
		flightsql.SqlInfoNamedParametersSupported:                            true,
		flightsql.SqlInfoLocatorsUpdateCopy:                                  false,
		flightsql.SqlInfoStoredFunctionsUsingCallSyntaxSupported:             false,
	} {
		if err := d.RegisterSqlInfo(id, v); err != nil {
			return err
		}
		d.infos[uint32(id)] = true
	}
	return nil
}

// knownInfo is the part of a SqlInfo request that can be answered.
type knownInfo []uint32

func (k knownInfo) GetInfo() []uint32 { return k }

// DoGetSqlInfo leaves out what is not known here, as the protocol demands. The library's base would refuse the whole
// request.
func (d *door) DoGetSqlInfo(ctx context.Context, q flightsql.GetSqlInfo) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	var known knownInfo
	for _, id := range q.GetInfo() {
		if d.infos[id] {
			known = append(known, id)
		}
	}
	if len(known) == 0 && len(q.GetInfo()) > 0 {
		return rows(schema_ref.SqlInfo, nil)
	}
	schema, written, err := d.BaseServer.DoGetSqlInfo(ctx, known)
	if err != nil {
		return nil, nil, err
	}
	// All is read at once, so that a client that disconnects leaves no writer behind.
	var all []flight.StreamChunk
	for c := range written {
		all = append(all, c)
	}
	out := make(chan flight.StreamChunk, len(all))
	for _, c := range all {
		out <- c
	}
	close(out)
	return schema, out, nil
}

// GetFlightInfoXdbcTypeInfo returns how to list the types.
func (d *door) GetFlightInfoXdbcTypeInfo(_ context.Context, _ flightsql.GetXdbcTypeInfo, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return d.info(desc, schema_ref.XdbcTypeInfo)
}

// DoGetXdbcTypeInfo lists the types by their numbers in ODBC and JDBC.
func (d *door) DoGetXdbcTypeInfo(_ context.Context, q flightsql.GetXdbcTypeInfo) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	const nullable, searchable = int32(1), int32(3)
	var all [][]any
	for _, t := range []struct {
		of             value.Type
		number, size   int32
		prefix, suffix any
		signed, text   bool
		radix          any
		sqlType        int32
		subcode        any
	}{
		{of: value.TypeBool, number: -7, size: 1, sqlType: -7},
		{of: value.TypeInt, number: -5, size: 19, signed: true, radix: int32(10), sqlType: -5},
		{of: value.TypeFloat, number: 8, size: 53, signed: true, radix: int32(2), sqlType: 8},
		{of: value.TypeText, number: 12, size: 1 << 20, prefix: "'", suffix: "'", text: true, sqlType: 12},
		{of: value.TypeDate, number: 91, size: 10, prefix: "DATE '", suffix: "'", sqlType: 9, subcode: int32(1)},
		{of: value.TypeTimestamp, number: 93, size: 26, prefix: "TIMESTAMP '", suffix: "'", sqlType: 9, subcode: int32(3)},
	} {
		if want := q.GetDataType(); want != nil && *want != t.number {
			continue
		}
		all = append(all, []any{
			typeNames[t.of], t.number, t.size, t.prefix, t.suffix, nil, nullable, t.text, searchable, !t.signed, false, false,
			typeNames[t.of], int32(0), int32(0), t.sqlType, t.subcode, t.radix, nil,
		})
	}
	return rows(schema_ref.XdbcTypeInfo, all)
}
