import { hash } from 'node:crypto';

interface Descriptor {
	digest: string;
	size: number;
}

interface ImageManifest {
	config: Descriptor;
	layers: Descriptor[];
}

interface Index {
	manifests: (Descriptor & { platform: { os: string; architecture: string } })[];
}

const ACCEPT = [
	'application/vnd.oci.image.index.v1+json',
	'application/vnd.oci.image.manifest.v1+json',
	'application/vnd.docker.distribution.manifest.list.v2+json',
	'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/**
 * Pulls an image as a container engine does, saying what it asks and what it is answered: the steps of distribution's "Token
 * Authentication Specification".
 *
 * @param host the registry's host and port
 * @param name what stands between the host and the tag
 * @param key an API key, for what is private
 * @param platform which image of an index, as `<os>/<architecture>`
 * @throws Error with the registry's own sentence where something is refused
 */
export async function pullImage(
	host: string,
	name: string,
	key: string | undefined,
	say: (line: string) => void,
	platform = 'linux/amd64',
): Promise<void> {
	const origin = `http://${host}`;
	const ping = await fetch(`${origin}/v2/`);
	const challenge = ping.headers.get('www-authenticate') ?? '';
	say(`  1. GET /v2/  ->  ${ping.status}, ask for a token: ${challenge}`);

	const realm = /realm="([^"]+)"/.exec(challenge)?.[1] ?? '';
	const scope = `repository:${name}:pull`;
	const basic = key === undefined ? undefined : `Basic ${Buffer.from(`u:${key}`).toString('base64')}`;
	const answer = await fetch(`${realm}?${new URLSearchParams({ scope })}`, {
		headers: basic === undefined ? {} : { authorization: basic },
	});
	const { token } = (await okOrThrow(answer).then((response) => response.json())) as { token: string };
	// Without the sealed login beside it, which says nothing to anybody.
	const { n } = JSON.parse(Buffer.from(token.slice(token.lastIndexOf('~') + 1), 'base64url').toString()) as { n: unknown };
	say(
		`  2. GET /auth/v1/token?scope=${scope}${key === undefined ? '' : ' (as u, with the key)'}  ->  ${answer.status}, a token that knows: ${JSON.stringify(n)}`,
	);

	const authorization = `Bearer ${token}`;
	const manifest = async (reference: string): Promise<ImageManifest | Index> => {
		const answer = await okOrThrow(
			await fetch(`${origin}/v2/${name}/manifests/${reference}`, { headers: { authorization, accept: ACCEPT } }),
		);
		const bytes = Buffer.from(await answer.arrayBuffer());
		say(
			`  3. GET /v2/${name}/manifests/${reference}  ->  ${answer.status}, ${bytes.length} bytes, ${answer.headers.get('docker-content-digest')}`,
		);
		return JSON.parse(bytes.toString()) as ImageManifest | Index;
	};
	let top = await manifest('latest');
	if ('manifests' in top) {
		const platforms = top.manifests.map((entry) => `${entry.platform.os}/${entry.platform.architecture}`);
		say(`     an index for ${platforms.join(', ')}; this machine takes ${platform}`);
		top = await manifest(top.manifests[platforms.indexOf(platform)]!.digest);
	}

	const { config, layers } = top as ImageManifest;
	for (const { digest } of [config, ...layers]) {
		const blob = Buffer.from(
			await (await okOrThrow(await fetch(`${origin}/v2/${name}/blobs/${digest}`, { headers: { authorization } }))).arrayBuffer(),
		);
		const isWhole = `sha256:${hash('sha256', blob, 'hex')}` === digest;
		say(`  4. GET /v2/${name}/blobs/${digest.slice(0, 19)}…  ->  ${blob.length} bytes, digest ${isWhole ? 'verified' : 'WRONG'}`);
		if (!isWhole) {
			throw new Error(`${digest} has other bytes`);
		}
	}
	say('  Pulled.');
}

async function okOrThrow(response: Response): Promise<Response> {
	if (response.ok) {
		return response;
	}
	const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
	throw new Error(`${errors[0]?.code}: ${errors[0]?.message}`);
}
