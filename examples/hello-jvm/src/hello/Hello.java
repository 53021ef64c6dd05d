package hello;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

/** A web server of one class: what an appliance needs to show that it lives. */
public final class Hello {
    /** Counted on the heap: whoever saves and restores the machine must find it again. */
    private static final AtomicLong VISITORS = new AtomicLong();

    public static void main(String[] args) throws IOException {
        int port = args.length > 0 ? Integer.parseInt(args[0]) : 8080;
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.createContext("/", Hello::greet);
        server.setExecutor(Executors.newFixedThreadPool(4));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            server.stop(0);
            System.out.println("stopped");
        }));
        server.start();
        System.out.println("listening on port " + port);
    }

    private static void greet(HttpExchange exchange) throws IOException {
        Runtime vm = Runtime.getRuntime();
        String text = String.format("Hello from %s%nJava %s, %d processors, %d MiB heap at most, user %s%nVisitor %d%n",
                InetAddress.getLocalHost().getHostName(), Runtime.version(), vm.availableProcessors(),
                vm.maxMemory() >> 20, System.getProperty("user.name"), VISITORS.incrementAndGet());
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
