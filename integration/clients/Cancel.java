import java.sql.*;
import java.util.Properties;

/** Asks a question that never ends, and cancels it as the driver does, once standard input says so. */
public class Cancel {
    public static void main(String[] args) throws Exception {
        boolean flight = args[0].equals("flight");
        Properties p = new Properties();
        p.put("user", "ada");
        p.put("password", System.getenv("CLIENT_TOKEN"));
        String url;
        if (flight) {
            p.put("tlsRootCerts", System.getenv("CLIENT_CA"));
            p.put("study", "trial");
            url = "jdbc:arrow-flight-sql://" + System.getenv("CLIENT_FLIGHT") + "/?useEncryption=true";
        } else {
            p.put("sslmode", "verify-full");
            p.put("sslrootcert", System.getenv("CLIENT_CA"));
            url = "jdbc:postgresql://" + System.getenv("CLIENT_POSTGRES") + "/trial";
        }
        try (Connection c = DriverManager.getConnection(url, p)) {
            Statement s = c.createStatement();
            if (args[1].equals("timeout")) {
                s.setQueryTimeout(Integer.parseInt(args[2]));
            } else {
                Thread waiting = new Thread(() -> {
                    try {
                        System.in.read();
                        s.cancel();
                    } catch (Exception e) {
                        e.printStackTrace();
                    }
                });
                waiting.setDaemon(true);
                waiting.start();
            }
            try (ResultSet r = s.executeQuery(System.getenv("CLIENT_SLOW"))) {
                r.next();
                throw new AssertionError("the question was answered");
            } catch (SQLException e) {
                if (!flight && !"57014".equals(e.getSQLState())) {
                    throw e;
                }
                System.out.println(e);
            }
            try (Statement t = c.createStatement(); ResultSet r = t.executeQuery(System.getenv("CLIENT_QUICK"))) {
                if (!r.next()) {
                    throw new AssertionError("no answer after that");
                }
            }
        }
        System.out.println("ok");
        System.exit(0); // the Flight driver leaves threads
    }
}
