import com.google.cloud.tools.jib.api.Containerizer;
import com.google.cloud.tools.jib.api.Jib;
import com.google.cloud.tools.jib.api.JibContainerBuilder;
import com.google.cloud.tools.jib.api.RegistryImage;
import com.google.cloud.tools.jib.api.TarImage;
import com.google.cloud.tools.jib.api.buildplan.Platform;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Set;
import java.util.stream.Stream;

/** Pulls an image as the base of another with Jib, which speaks TLS only. See libraries.ts for what it is told and what it prints. */
class Pull {
	public static void main(String[] args) throws Exception {
		Path directory = Path.of(args[1]);
		trust(Path.of(System.getenv("CA")), directory.resolve("trust"));
		RegistryImage base = RegistryImage.named(args[0]);
		if (System.getenv("KEY") != null) {
			base.addCredential("anyone", System.getenv("KEY"));
		}
		JibContainerBuilder builder = Jib.from(base);
		if (System.getenv("PLATFORM") != null) {
			String[] platform = System.getenv("PLATFORM").split("/");
			builder.setPlatforms(Set.of(new Platform(platform[1], platform[0])));
		}
		Path layers = directory.resolve("layers");
		try {
			builder.containerize(
					Containerizer.to(TarImage.at(directory.resolve("image.tar")).named("pulled"))
							.setBaseImageLayersCache(layers)
							.setApplicationLayersCache(directory.resolve("application")));
		} catch (Exception error) {
			error.printStackTrace();
			System.exit(1);
		}
		// The cache has a directory for each layer, named after its digest.
		try (Stream<Path> cached = Files.list(layers.resolve("layers"))) {
			cached.forEach(layer -> System.out.println(layer.getFileName()));
		}
		// Its threads would wait for more.
		System.exit(0);
	}

	private static void trust(Path ca, Path store) throws Exception {
		KeyStore keys = KeyStore.getInstance("PKCS12");
		keys.load(null, null);
		try (InputStream pem = Files.newInputStream(ca)) {
			keys.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
		}
		try (OutputStream file = Files.newOutputStream(store)) {
			keys.store(file, "changeit".toCharArray());
		}
		System.setProperty("javax.net.ssl.trustStore", store.toString());
		System.setProperty("javax.net.ssl.trustStorePassword", "changeit");
	}
}
