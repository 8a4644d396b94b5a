import com.google.inject.Key;
import io.trino.grammar.sql.SqlBaseLexer;
import io.trino.grammar.sql.SqlBaseParser;
import io.trino.plugin.base.security.FileBasedSystemAccessControl;
import io.trino.plugin.memory.MemoryPlugin;
import io.trino.server.security.PasswordAuthenticatorManager;
import io.trino.server.testing.TestingTrinoServer;
import io.trino.spi.Plugin;
import io.trino.spi.security.AccessDeniedException;
import io.trino.spi.security.BasicPrincipal;
import io.trino.spi.security.SystemAccessControl;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.util.HashMap;
import java.util.Map;
import org.antlr.v4.runtime.CharStreams;
import org.antlr.v4.runtime.CommonTokenStream;

/**
 * A Trino server with a catalog of tables in memory, until its standard input ends.
 * Arguments are the one password that it takes, of any user; the file of the rules that say
 * who may do what, which is read anew all the time; the URL of a PostgreSQL for a catalog
 * "warehouse", or nothing; and properties of the server, name=value.
 * Over HTTP it asks for no password.
 */
public class Main
{
    public static void main(String[] args)
            throws Exception
    {
        Thread.currentThread().setUncaughtExceptionHandler((thread, e) -> {
            e.printStackTrace();
            Runtime.getRuntime().halt(1); // threads of the server may run already
        });
        Map<String, String> properties = new HashMap<>();
        for (int i = 3; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            properties.put(pair[0], pair[1]);
        }
        SystemAccessControl rules = new FileBasedSystemAccessControl.Factory().create(
                Map.of("security.config-file", args[1], "security.refresh-period", "10ms"));
        TestingTrinoServer server = TestingTrinoServer.builder().setProperties(properties).setSystemAccessControl(rules).build();
        server.getInstance(Key.get(PasswordAuthenticatorManager.class)).setAuthenticators((user, password) -> {
            if (!password.equals(args[0])) {
                throw new AccessDeniedException("Invalid credentials");
            }
            return new BasicPrincipal(user);
        });
        server.installPlugin(new MemoryPlugin());
        server.createCatalog("memory", "memory", Map.of("memory.max-data-per-node", "1GB", "memory.splits-per-node", "1"));
        if (!args[2].isEmpty()) {
            server.installPlugin((Plugin) Class.forName("io.trino.plugin.postgresql.PostgreSqlPlugin").getConstructor().newInstance());
            server.createCatalog("warehouse", "postgresql", Map.of("connection-url", args[2], "decimal-mapping", "ALLOW_OVERFLOW",
                    "decimal-default-scale", "6", "decimal-rounding-mode", "HALF_UP"));
        }
        Thread forgetter = new Thread(Main::forget);
        forgetter.setDaemon(true);
        forgetter.start();
        System.err.println("ready " + server.getBaseUrl() + " " + server.getHttpsBaseUrl());
        while (System.in.read() >= 0) {
        }
        Runtime.getRuntime().halt(0);
    }

    /**
     * Empties the parser's cache of what it has seen, which otherwise grows with every
     * nested expression of another shape until the memory is full.
     */
    private static void forget()
    {
        MemoryPoolMXBean old = ManagementFactory.getMemoryPoolMXBeans().stream()
                .filter(pool -> pool.getName().equals("Tenured Gen"))
                .findFirst().orElseThrow();
        try {
            while (true) {
                Thread.sleep(1000);
                // Of what outlived the last full collection.
                if (old.getCollectionUsage().getUsed() > old.getUsage().getMax() / 10 * 6) {
                    new SqlBaseParser(new CommonTokenStream(new SqlBaseLexer(CharStreams.fromString("")))).getInterpreter().clearDFA();
                    System.gc();
                }
            }
        }
        catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
