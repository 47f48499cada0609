import type { RepositoryContent } from './image.ts';

/**
 * Pushes images over the registry's own protocol: OCI distribution-spec, "Push" (monolithic uploads).
 *
 * @param repositories repository name -> what it shall hold
 * @param tokenFor mints a token that may push to the repository
 * @throws Error that names the request and the answer, when the registry refuses one
 */
export async function pushAll(
	registryUrl: string,
	repositories: ReadonlyMap<string, RepositoryContent>,
	tokenFor: (repository: string) => Promise<string>,
): Promise<void> {
	const waiting = [...repositories];
	const worker = async (): Promise<void> => {
		for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
			const [repository, content] = next;
			await pushOne(`${registryUrl}/v2/${repository}`, content, await tokenFor(repository));
		}
	};
	await Promise.all(Array.from({ length: 4 }, worker));
}

async function pushOne(url: string, { blobs, manifests, tags }: RepositoryContent, token: string): Promise<void> {
	const authorization = `Bearer ${token}`;
	for (const [digest, bytes] of blobs) {
		const started = await expectOk(await fetch(`${url}/blobs/uploads/`, { method: 'POST', headers: { authorization } }));
		const location = new URL(started.headers.get('location') ?? '', url);
		location.searchParams.set('digest', digest);
		await expectOk(
			await fetch(location, {
				method: 'PUT',
				headers: { authorization, 'content-type': 'application/octet-stream' },
				body: new Uint8Array(bytes),
			}),
		);
	}
	for (const { digest, mediaType, bytes } of manifests) {
		const tagged = Object.keys(tags).filter((tag) => tags[tag] === digest);
		for (const reference of tagged.length > 0 ? tagged : [digest]) {
			await expectOk(
				await fetch(`${url}/manifests/${reference}`, {
					method: 'PUT',
					headers: { authorization, 'content-type': mediaType },
					body: new Uint8Array(bytes),
				}),
			);
		}
	}
}

async function expectOk(response: Response): Promise<Response> {
	const body = await response.text();
	if (!response.ok) {
		throw new Error(`pushing a sample image: ${response.url} answered ${response.status}: ${body}`);
	}
	return response;
}
