import { hash } from 'node:crypto';

interface Descriptor {
	digest: string;
	size: number;
}

interface ImageManifest {
	config: Descriptor;
	layers: Descriptor[];
}

const ACCEPT = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'].join(', ');

/**
 * Pulls an image as a container engine does, saying what it asks and what it is answered: the steps of distribution's "Token Authentication Specification".
 *
 * @param host the registry's host and port
 * @param name what stands between the host and the tag
 * @param key an API key, for what is private
 * @throws Error with the registry's own sentence where something is refused
 */
export async function pullImage(host: string, name: string, key: string | undefined, say: (line: string) => void): Promise<void> {
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
	const manifestAnswer = await okOrThrow(
		await fetch(`${origin}/v2/${name}/manifests/latest`, { headers: { authorization, accept: ACCEPT } }),
	);
	const bytes = Buffer.from(await manifestAnswer.arrayBuffer());
	say(
		`  3. GET /v2/${name}/manifests/latest  ->  ${manifestAnswer.status}, ${bytes.length} bytes, ${manifestAnswer.headers.get('docker-content-digest')}`,
	);

	const { config, layers } = JSON.parse(bytes.toString()) as ImageManifest;
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
