import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.*;
import java.util.*;

/** pgJDBC: all its questions about the catalog, and questions about patients. */
public class Postgres {
    static void check(String what, Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + ": got " + got + ", not " + want);
        }
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> all = new ArrayList<>();
        try (rows) {
            while (rows.next()) {
                all.add(rows.getString(name));
            }
        }
        return all;
    }

    static void refused(Statement s, String sql, String state, String text) {
        try (ResultSet r = s.executeQuery(sql)) {
            r.next();
        } catch (SQLException e) {
            check(sql, e.getSQLState(), state);
            check(sql + " says " + e.getMessage(), e.getMessage().contains(text), true);
            return;
        }
        throw new AssertionError(sql + " was not refused");
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("user", "ada");
        p.put("password", System.getenv("CLIENT_TOKEN"));
        p.put("sslmode", "verify-full");
        p.put("sslrootcert", System.getenv("CLIENT_CA"));
        String url = "jdbc:postgresql://" + System.getenv("CLIENT_POSTGRES") + "/";
        String question = "SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1";
        String expected = System.getenv("CLIENT_EXPECTED");
        try (Connection c = DriverManager.getConnection(url + "trial", p)) {
            DatabaseMetaData m = c.getMetaData();
            for (Method x : DatabaseMetaData.class.getMethods()) {
                if (x.getParameterCount() != 0 || x.getName().equals("getConnection")) {
                    continue;
                }
                try {
                    Object v = x.invoke(m);
                    if (v instanceof ResultSet) {
                        ((ResultSet) v).close();
                    }
                } catch (InvocationTargetException e) {
                    if (!(e.getCause() instanceof SQLFeatureNotSupportedException)) { // pgJDBC's own
                        throw new AssertionError(x.getName(), e.getCause());
                    }
                }
            }
            check("catalogs", column(m.getCatalogs(), "TABLE_CAT"), List.of("trial"));
            check("schemas", column(m.getSchemas(), "TABLE_SCHEM").contains("public"), true);
            check("tables", column(m.getTables("trial", "public", "per%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME"), List.of("person"));
            check("columns", column(m.getColumns(null, "public", "death", "%"), "COLUMN_NAME").subList(0, 2), List.of("person_id", "death_date"));
            check("types", column(m.getColumns(null, "public", "death", "%"), "TYPE_NAME").subList(0, 2), List.of("int8", "date"));
            check("key", column(m.getPrimaryKeys(null, "public", "person"), "COLUMN_NAME"), List.of("person_id"));
            check("imported", column(m.getImportedKeys(null, "public", "death"), "PKTABLE_NAME").contains("person"), true);
            check("exported", column(m.getExportedKeys(null, "public", "person"), "FKTABLE_NAME").contains("death"), true);
            check("cross", column(m.getCrossReference(null, "public", "person", null, "public", "death"), "FKCOLUMN_NAME"), List.of("person_id"));
            check("index", column(m.getIndexInfo(null, "public", "person", true, true), "INDEX_NAME"), List.of("person_pkey"));
            check("best row", column(m.getBestRowIdentifier(null, "public", "person", 0, true), "COLUMN_NAME"), List.of("person_id"));
            check("privileges", column(m.getTablePrivileges(null, "public", "person"), "PRIVILEGE").contains("SELECT"), true);
            check("functions", column(m.getFunctions(null, null, "%"), "FUNCTION_NAME"), List.of());
            check("procedures", column(m.getProcedures(null, null, "%"), "PROCEDURE_NAME"), List.of());
            check("types of users", column(m.getUDTs(null, null, "%", null), "TYPE_NAME"), List.of());

            // DBeaver reads the columns of keys as arrays of numbers, and those of indexes as a vector.
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT k.conkey, i.indkey FROM pg_constraint k JOIN pg_index i ON i.indexrelid = k.conindid WHERE k.conname = 'person_pkey'")) {
                r.next();
                check("a key's columns", ((Number) java.lang.reflect.Array.get(r.getArray(1).getArray(), 0)).intValue(), 1);
                check("an index's columns", r.getString(2), "1");
            }
            // A table by the names that the metadata tells.
            try (ResultSet t = m.getTables(null, "public", "person", null); Statement s = c.createStatement()) {
                t.next();
                String name = "\"" + c.getCatalog() + "\".\"" + t.getString("TABLE_SCHEM") + "\".\"" + t.getString("TABLE_NAME") + "\"";
                try (ResultSet r = s.executeQuery("SELECT " + name + ".\"gender_concept_id\", COUNT(*) AS n FROM " + name + " GROUP BY 1 ORDER BY 1")) {
                    check("by its whole name", r.next(), true);
                }
                check("it is the same question", s.getWarnings().getMessage().startsWith("cost: nothing"), true);
                try (ResultSet r = s.executeQuery("SELECT * FROM " + name + " LIMIT 0")) {
                    check("columns of what is never shown", r.getMetaData().getColumnName(1) + r.getMetaData().getColumnTypeName(1) + r.next(), "person_idint8false");
                }
            }

            StringBuilder rows = new StringBuilder();
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(question)) {
                while (r.next()) {
                    rows.append("[").append(r.getLong(1)).append(",").append(r.getLong("n")).append(",");
                }
                check("the cost is a warning", s.getWarnings().getMessage().startsWith("cost: nothing"), true);
            }
            check("rows", rows.toString(), expected.replaceAll("^\\[|\\]$", "").replaceAll(",-?\\d+,-?\\d+\\],?", ","));

            // Past the fifth time the driver has the server keep the statement, and reads binary.
            long first = 0;
            try (PreparedStatement s = c.prepareStatement("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= ?")) {
                check("columns before it runs", s.getMetaData().getColumnName(1), "n");
                for (int i = 0; i < 8; i++) {
                    s.setInt(1, 1970);
                    try (ResultSet r = s.executeQuery()) {
                        r.next();
                        check("the same question again", i == 0 || r.getLong(1) == first, true);
                        first = r.getLong(1);
                    }
                }
            }
            try (PreparedStatement s = c.prepareStatement("SELECT COUNT(*) AS n FROM death WHERE death_date >= ?")) {
                s.setDate(1, java.sql.Date.valueOf("2020-01-01"));
                try (ResultSet r = s.executeQuery()) {
                    check("a date", r.next(), true);
                }
            }
            try (Statement s = c.createStatement()) {
                refused(s, "SELECT name FROM person", "0A000", "Position: 8");
                refused(s, "SELECT COUNT(*) FROM persn", "42P01", "Position: 22");
                refused(s, "DELETE FROM person", "0A000", "NOT_SUPPORTED");
            }

            // In parts, as for a large answer, in what the driver takes for a transaction.
            c.setAutoCommit(false);
            try (Statement s = c.createStatement()) {
                s.setFetchSize(2);
                int n = 0;
                try (ResultSet r = s.executeQuery(question)) {
                    while (r.next()) {
                        n++;
                    }
                }
                check("rows in parts", n, expected.split("\\],").length);
            }
            c.commit();
            c.setAutoCommit(true);
            check("valid", c.isValid(5), true);
            check("schema", c.getSchema(), "public");
            c.setReadOnly(true);
            try (Statement s = c.createStatement()) {
                s.execute("SET intervals = columns");
                try (ResultSet r = s.executeQuery(question)) {
                    check("intervals", r.getMetaData().getColumnName(4), "n_high");
                }
            }
        }
        p.put("user", "poor");
        p.put("password", System.getenv("CLIENT_POOR"));
        try (Connection c = DriverManager.getConnection(url + "trial", p); Statement s = c.createStatement()) {
            refused(s, "SELECT COUNT(*) FROM death", "53400", "BUDGET_EXHAUSTED");
        }
        System.out.println("ok");
    }
}
