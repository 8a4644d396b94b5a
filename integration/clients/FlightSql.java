import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.*;
import java.util.*;

/** The Flight SQL JDBC driver: what DBeaver calls when it opens a connection, and questions. */
public class FlightSql {
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

    static void refused(Statement s, String sql, String text) {
        try (ResultSet r = s.executeQuery(sql)) {
            r.next();
        } catch (SQLException e) {
            if (!e.getMessage().contains(text)) {
                throw new AssertionError(sql + ": " + e.getMessage() + " does not say " + text);
            }
            return;
        }
        throw new AssertionError(sql + " was not refused");
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("user", "ada");
        p.put("password", System.getenv("CLIENT_TOKEN"));
        p.put("tlsRootCerts", System.getenv("CLIENT_CA"));
        p.put("study", "trial");
        String url = "jdbc:arrow-flight-sql://" + System.getenv("CLIENT_FLIGHT") + "/?useEncryption=true";
        String question = "SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1";
        String expected = System.getenv("CLIENT_EXPECTED");
        try (Connection c = DriverManager.getConnection(url, p)) {
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
                    throw new AssertionError(x.getName(), e.getCause());
                }
            }
            check("product", m.getDatabaseProductName(), "Intramuros");
            check("read only", m.isReadOnly(), true);
            check("catalogs", column(m.getCatalogs(), "TABLE_CAT").size(), 1);
            check("schemas", column(m.getSchemas(), "TABLE_SCHEM"), List.of("public"));
            check("tables", column(m.getTables(null, "public", "per%", new String[] {"TABLE"}), "TABLE_NAME"), List.of("person"));
            check("columns", column(m.getColumns(null, "public", "death", "%"), "COLUMN_NAME").subList(0, 2), List.of("person_id", "death_date"));
            check("types", column(m.getColumns(null, "public", "death", "%"), "TYPE_NAME").subList(0, 2), List.of("BIGINT", "DATE"));
            check("key", column(m.getPrimaryKeys(null, "public", "person"), "COLUMN_NAME"), List.of("person_id"));
            check("imported", column(m.getImportedKeys(null, "public", "death"), "PKTABLE_NAME").contains("person"), true);
            check("exported", column(m.getExportedKeys(null, "public", "person"), "FKTABLE_NAME").contains("death"), true);
            check("cross", column(m.getCrossReference(null, "public", "person", null, "public", "death"), "FKCOLUMN_NAME"), List.of("person_id"));

            // A table by the names that the metadata tells.
            try (ResultSet t = m.getTables(null, "public", "person", null); Statement s = c.createStatement()) {
                t.next();
                String name = "\"" + t.getString("TABLE_CAT") + "\".\"" + t.getString("TABLE_SCHEM") + "\".\"" + t.getString("TABLE_NAME") + "\"";
                try (ResultSet r = s.executeQuery("SELECT " + name + ".\"gender_concept_id\", COUNT(*) AS n FROM " + name + " GROUP BY 1 ORDER BY 1")) {
                    check("by its whole name", r.next(), true);
                }
            }

            StringBuilder rows = new StringBuilder();
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(question)) {
                while (r.next()) {
                    rows.append("[").append(r.getLong(1)).append(",").append(r.getLong("n")).append(",");
                }
            }
            check("rows", rows.toString(), expected.replaceAll("^\\[|\\]$", "").replaceAll(",-?\\d+,-?\\d+\\],?", ","));

            try (PreparedStatement s = c.prepareStatement("SELECT COUNT(*) AS n FROM person WHERE year_of_birth >= ?")) {
                check("parameters", s.getParameterMetaData().getParameterCount(), 1);
                long first = 0;
                for (int i = 0; i < 3; i++) {
                    s.setLong(1, 1970);
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
                refused(s, "SELECT name FROM person", "ROW_LEVEL at line 1, column 8");
                refused(s, "SELECT COUNT(*) FROM persn", "UNKNOWN_TABLE at line 1, column 22");
                refused(s, "DELETE FROM person", "line 1, column 1");
            }
        }
        p.put("user", "poor");
        p.put("password", System.getenv("CLIENT_POOR"));
        try (Connection c = DriverManager.getConnection(url, p); Statement s = c.createStatement()) {
            refused(s, "SELECT COUNT(*) FROM death", "BUDGET_EXHAUSTED");
        }
        p.put("user", "ada");
        p.put("password", System.getenv("CLIENT_TOKEN"));
        p.put("intervals", "columns");
        try (Connection c = DriverManager.getConnection(url, p); Statement s = c.createStatement(); ResultSet r = s.executeQuery(question)) {
            check("intervals", r.getMetaData().getColumnCount(), 4);
            check("intervals", r.getMetaData().getColumnName(4), "n_high");
        }
        p.put("password", "x".repeat(20));
        try (Connection c = DriverManager.getConnection(url, p)) {
            throw new AssertionError("a wrong token was admitted");
        } catch (SQLException e) {
            check("wrong token", String.valueOf(e.getMessage()).contains("UNAUTHORIZED") || String.valueOf(e.getCause()).contains("UNAUTHORIZED"), true);
        }
        System.out.println("ok");
        System.exit(0); // the driver leaves threads
    }
}
