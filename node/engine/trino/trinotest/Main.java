import com.google.inject.Key;
import io.trino.plugin.memory.MemoryPlugin;
import io.trino.server.security.PasswordAuthenticatorManager;
import io.trino.server.testing.TestingTrinoServer;
import io.trino.spi.security.AccessDeniedException;
import io.trino.spi.security.BasicPrincipal;
import java.util.HashMap;
import java.util.Map;

/**
 * A Trino server with a catalog of tables in memory, until its standard input ends.
 * Arguments are properties of the server, name=value, and first of all the one password
 * that it takes, of any user. Over HTTP it asks for none.
 */
public class Main
{
    public static void main(String[] args)
            throws Exception
    {
        Map<String, String> properties = new HashMap<>();
        for (int i = 1; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            properties.put(pair[0], pair[1]);
        }
        TestingTrinoServer server = TestingTrinoServer.builder().setProperties(properties).build();
        server.getInstance(Key.get(PasswordAuthenticatorManager.class)).setAuthenticators((user, password) -> {
            if (!password.equals(args[0])) {
                throw new AccessDeniedException("Invalid credentials");
            }
            return new BasicPrincipal(user);
        });
        server.installPlugin(new MemoryPlugin());
        server.createCatalog("memory", "memory", Map.of("memory.max-data-per-node", "1GB", "memory.splits-per-node", "1"));
        System.err.println("ready " + server.getBaseUrl() + " " + server.getHttpsBaseUrl());
        while (System.in.read() >= 0) {
        }
        Runtime.getRuntime().halt(0);
    }
}
