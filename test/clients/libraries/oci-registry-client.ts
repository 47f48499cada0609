import { createRequire } from 'node:module';

/* Pulls an image with oci-registry-client of npm. See libraries.ts for what it is told and what it prints. */

const { RegistryClientV2 } = createRequire(`${process.env.PACKAGES}/`)('oci-registry-client') as any;
const { KEY, CA, PLATFORM } = process.env;
const [, name, , digest] = /^([^@]+?)(:[^/:@]+)?(?:@(.+))?$/.exec(process.argv[2]!)!;
const tag = /:([^/:@]+)$/.exec(process.argv[2]!)?.[1] ?? 'latest';

const client = new RegistryClientV2({
	name,
	scheme: CA === undefined ? 'http' : 'https',
	acceptOCIManifests: true,
	acceptManifestLists: true,
	...(KEY === undefined ? {} : { username: 'anyone', password: KEY }),
});
try {
	let { manifest } = await client.getManifest({ ref: digest ?? tag });
	if (manifest.manifests !== undefined) {
		const [os, architecture] = (PLATFORM ?? 'linux/amd64').split('/');
		const child = manifest.manifests.find(({ platform }: any) => platform.os === os && platform.architecture === architecture);
		({ manifest } = await client.getManifest({ ref: child.digest }));
	}
	for (const blob of [manifest.config, ...manifest.layers]) {
		const { stream } = await client.createBlobReadStream({ digest: blob.digest });
		for await (const _ of stream);
		console.log(blob.digest);
	}
} catch (error) {
	console.error(String(error));
	process.exitCode = 1;
}
