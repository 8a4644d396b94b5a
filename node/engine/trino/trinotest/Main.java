import io.trino.plugin.memory.MemoryPlugin;
import io.trino.server.testing.TestingTrinoServer;
import java.util.Map;

/** A Trino server with a catalog of tables in memory, until its standard input ends. */
public class Main
{
    public static void main(String[] args)
            throws Exception
    {
        TestingTrinoServer server = TestingTrinoServer.builder().build();
        server.installPlugin(new MemoryPlugin());
        server.createCatalog("memory", "memory", Map.of("memory.max-data-per-node", "512MB"));
        System.err.println("ready " + server.getBaseUrl());
        while (System.in.read() >= 0) {
        }
        Runtime.getRuntime().halt(0);
    }
}
