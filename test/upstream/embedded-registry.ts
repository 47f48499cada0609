import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { jwtVerify } from 'jose';
import type { Manifest, RepositoryContent } from './image.ts';
import type { Access, TokenSigner } from './tokens.ts';

/*
 * A small read-only registry for machines without `docker-registry`. It answers as distribution 2.8 does, but for `Accept`, at which it does not look (nor
 * does distribution 3). registries.test.ts compares the two.
 */

interface Answer {
	status: number;
	headers?: Record<string, string>;
	body?: Buffer | object;
}

/** Seconds by which clocks may differ, as in distribution. */
const LEEWAY = 60;
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const JSON_TYPE = 'application/json; charset=utf-8';
const PULL = ['pull'];
/** What a token has to grant for a method; for others: to pull and to push. */
const ACTIONS: Record<string, string[]> = { GET: PULL, HEAD: PULL, DELETE: ['delete'] };
const PATH = /^\/v2\/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)\/(?:(manifests|blobs)\/([^/]+)|(tags)\/list)$/;
const PATH_WITH_REFERRERS = /^\/v2\/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)\/(?:(manifests|blobs|referrers)\/([^/]+)|(tags)\/list)$/;

/**
 * @param realm URL of the token endpoint for its challenges
 * @param hasReferrers whether it has the API for referrers, which distribution has not: for clients that are to be tried with one
 */
export function serveEmbeddedRegistry(
	server: Server,
	repositories: ReadonlyMap<string, RepositoryContent>,
	realm: string,
	signer: TokenSigner,
	hasReferrers = false,
): void {
	server.on('request', (req: IncomingMessage, res: ServerResponse) => {
		answer(req, repositories, realm, signer, hasReferrers).then(
			(reply) => send(req, res, reply),
			(error: unknown) => send(req, res, problem(500, 'UNKNOWN', String(error))),
		);
	});
}

async function answer(
	req: IncomingMessage,
	repositories: ReadonlyMap<string, RepositoryContent>,
	realm: string,
	signer: TokenSigner,
	hasReferrers: boolean,
): Promise<Answer> {
	const url = new URL(req.url ?? '', 'http://registry');
	const isPing = url.pathname === '/v2/';
	const [, name, kind, reference, tags] = (hasReferrers ? PATH_WITH_REFERRERS : PATH).exec(url.pathname) ?? [];
	if (!isPing && name === undefined) {
		return { status: 404, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: Buffer.from('404 page not found\n') };
	}
	const actions = ACTIONS[req.method ?? ''] ?? ['pull', 'push'];
	const refusal = await authorize(req.headers.authorization, name, actions, realm, signer);
	if (refusal !== undefined) {
		return refusal;
	}
	if (actions !== PULL) {
		return problem(405, 'UNSUPPORTED', 'The operation is unsupported.');
	}
	if (name === undefined) {
		return { status: 200, headers: { 'content-type': JSON_TYPE }, body: Buffer.from('{}') };
	}
	const repository = repositories.get(name);
	if (tags !== undefined) {
		return listTags(name, repository, url.searchParams);
	}
	switch (kind) {
		case 'manifests':
			return manifestAnswer(req, name, repository, reference!);
		case 'blobs':
			return blobAnswer(req, repository, reference!);
		default:
			return referrersAnswer(repository, reference!, url.searchParams.get('artifactType'));
	}
}

/** @returns the 401 of distribution's token authentication; undefined where the token grants all that is needed */
async function authorize(
	authorization: string | undefined,
	name: string | undefined,
	actions: string[],
	realm: string,
	signer: TokenSigner,
): Promise<Answer | undefined> {
	const needed = name === undefined ? [] : actions.map((Action) => ({ Type: 'repository', Class: '', Name: name, Action }));
	const scope = name === undefined ? '' : `,scope="repository:${name}:${actions.join(',')}"`;
	const unauthorized = (error: string): Answer => ({
		status: 401,
		headers: { 'www-authenticate': `Bearer realm="${realm}",service="${signer.service}"${scope}${error}` },
		body: { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required', detail: name === undefined ? null : needed }] },
	});
	const [scheme, token, ...rest] = authorization?.split(' ') ?? [];
	if (scheme?.toLowerCase() !== 'bearer' || token === undefined || rest.length > 0) {
		return unauthorized('');
	}
	let access: Access[];
	try {
		const { payload, protectedHeader } = await jwtVerify(token, signer.publicKey, {
			algorithms: ['ES256'],
			audience: signer.service,
			issuer: signer.issuer,
			clockTolerance: LEEWAY,
		});
		if (protectedHeader.kid !== signer.keyId) {
			return unauthorized(',error="invalid_token"');
		}
		access = (payload.access as Access[] | undefined) ?? [];
	} catch {
		return unauthorized(',error="invalid_token"');
	}
	const granted = needed.every(({ Action }) =>
		access.some((entry) => entry.type === 'repository' && entry.name === name && entry.actions.includes(Action)),
	);
	return granted ? undefined : unauthorized(',error="insufficient_scope"');
}

function manifestAnswer(req: IncomingMessage, name: string, repository: RepositoryContent | undefined, reference: string): Answer {
	const isDigest = reference.includes(':');
	const digest = isDigest ? reference : repository?.tags[reference];
	const manifest = repository?.manifests.find((candidate) => candidate.digest === digest);
	if (manifest === undefined) {
		return problem(404, 'MANIFEST_UNKNOWN', 'manifest unknown', isDigest ? { Name: name, Revision: reference } : { Tag: reference });
	}
	const headers = { 'content-type': manifest.mediaType, 'docker-content-digest': manifest.digest, etag: `"${manifest.digest}"` };
	return req.headers['if-none-match']?.includes(manifest.digest) ? { status: 304 } : { status: 200, headers, body: manifest.bytes };
}

function blobAnswer(req: IncomingMessage, repository: RepositoryContent | undefined, digest: string): Answer {
	const blob = repository?.blobs.get(digest);
	if (blob === undefined) {
		return problem(404, 'BLOB_UNKNOWN', 'blob unknown to registry', digest);
	}
	const headers: Record<string, string> = {
		'accept-ranges': 'bytes',
		'cache-control': 'max-age=31536000',
		'content-type': 'application/octet-stream',
		'docker-content-digest': digest,
		etag: `"${digest}"`,
	};
	// Several ranges at once are answered with the whole, as RFC 9110 section 14.2 allows.
	const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(req.headers.range ?? '') ?? [];
	if (from === '' && to === '') {
		return { status: 200, headers, body: blob };
	}
	const start = from === '' ? Math.max(blob.length - Number(to), 0) : Number(from);
	const end = from === '' || to === '' ? blob.length - 1 : Math.min(Number(to), blob.length - 1);
	if (start > end) {
		return {
			status: 416,
			headers: { 'content-range': `bytes */${blob.length}`, 'content-type': 'text/plain; charset=utf-8' },
			body: Buffer.from('invalid range\n'),
		};
	}
	return {
		status: 206,
		headers: { ...headers, 'content-range': `bytes ${start}-${end}/${blob.length}` },
		body: blob.subarray(start, end + 1),
	};
}

function listTags(name: string, repository: RepositoryContent | undefined, query: URLSearchParams): Answer {
	if (repository === undefined) {
		return problem(404, 'NAME_UNKNOWN', 'repository name not known to registry', { name });
	}
	const last = query.get('last') ?? '';
	const n = query.has('n') ? Number(query.get('n')) : Number.POSITIVE_INFINITY;
	const rest = Object.keys(repository.tags)
		.sort()
		.filter((tag) => tag > last);
	const tags = rest.slice(0, n);
	const headers: Record<string, string> =
		tags.length > 0 && tags.length < rest.length ? { link: `</v2/${name}/tags/list?last=${tags.at(-1)}&n=${n}>; rel="next"` } : {};
	return { status: 200, headers, body: { name, tags } };
}

/** OCI distribution-spec, "Listing Referrers". */
function referrersAnswer(repository: RepositoryContent | undefined, subject: string, artifactType: string | null): Answer {
	const found = (repository?.manifests ?? [])
		.map((manifest) => ({
			manifest,
			content: JSON.parse(manifest.bytes.toString()) as { subject?: { digest: string }; artifactType?: string },
		}))
		.filter(({ content }) => content.subject?.digest === subject && (artifactType === null || content.artifactType === artifactType));
	const describe = ({ mediaType, digest, bytes }: Manifest): object => ({ mediaType, digest, size: bytes.length });
	return {
		status: 200,
		headers: { 'content-type': INDEX_TYPE, ...(artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' }) },
		body: {
			schemaVersion: 2,
			mediaType: INDEX_TYPE,
			manifests: found.map(({ manifest, content }) => ({ ...describe(manifest), artifactType: content.artifactType })),
		},
	};
}

function problem(status: number, code: string, message: string, detail?: unknown): Answer {
	return { status, body: { errors: [{ code, message, detail }] } };
}

function send(req: IncomingMessage, res: ServerResponse, { status, headers = {}, body }: Answer): void {
	const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(`${JSON.stringify(body)}\n`);
	if (body !== undefined && !Buffer.isBuffer(body)) {
		res.setHeader('content-type', JSON_TYPE);
	}
	res.writeHead(status, {
		'docker-distribution-api-version': 'registry/2.0',
		...(bytes === undefined ? {} : { 'content-length': bytes.length }),
		...headers,
	});
	res.end(req.method === 'HEAD' ? undefined : bytes);
}
