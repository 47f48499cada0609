import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/*
 * Object storage as distribution's S3 driver and the clients of its redirects see it: it reads, and verifies the signature of each request. Version 4 of AWS's signatures:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html and sigv4-query-string-auth.html.
 */

/** A request by a signed URL, which is a client's or the service's, never the registry's own. */
export interface FollowedRequest {
	method: string;
	url: string;
	headers: IncomingHttpHeaders;
	status: number;
}

export interface ObjectStorage {
	url: string;
	bucket: string;
	region: string;
	accessKey: string;
	secretKey: string;
	followed: FollowedRequest[];
}

const [BUCKET, REGION, ACCESS_KEY, SECRET_KEY] = ['images', 'us-east-1', 'SAMPLEACCESSKEY', 'sample/secret/key'];

/**
 * Starts it on a free port of 127.0.0.1, for as long as the process lives.
 *
 * @param objects by their keys
 */
export async function startObjectStorage(objects: ReadonlyMap<string, Buffer>, tls: { cert: string; key: string }): Promise<ObjectStorage> {
	const followed: FollowedRequest[] = [];
	const server = createServer(tls, (req, res) => {
		const url = new URL(req.url!, 'https://storage');
		const isFollowed = url.searchParams.has('X-Amz-Signature');
		if (isFollowed) {
			res.once('finish', () => followed.push({ method: req.method!, url: req.url!, headers: req.headers, status: res.statusCode }));
		}
		answer(objects, req, url, isFollowed, res);
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
	return { url, bucket: BUCKET, region: REGION, accessKey: ACCESS_KEY, secretKey: SECRET_KEY, followed };
}

function answer(objects: ReadonlyMap<string, Buffer>, req: IncomingMessage, url: URL, isFollowed: boolean, res: ServerResponse): void {
	const { authorization } = req.headers;
	res.setHeader('server', 'AmazonS3').setHeader('x-amz-request-id', 'SAMPLE');
	const problem = (status: number, code: string): void => {
		res.writeHead(status, { 'content-type': 'application/xml' });
		res.end(req.method === 'HEAD' ? undefined : `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code></Error>`);
	};
	if (isFollowed && authorization !== undefined) {
		return problem(400, 'InvalidArgument');
	}
	const signed = isFollowed ? signedInQuery(url) : signedInHeader(req.headers);
	if (signed === undefined || !isSame(signed.signature, signatureOf(req, url, signed))) {
		return problem(403, 'SignatureDoesNotMatch');
	}
	if (signed.until < Date.now()) {
		return problem(403, 'AccessDenied');
	}
	const key = decodeURIComponent(url.pathname.slice(`/${BUCKET}/`.length));
	if (key === '' && url.searchParams.get('list-type') === '2') {
		res.writeHead(200, { 'content-type': 'application/xml' }).end(listing(objects, url.searchParams));
		return;
	}
	const object = objects.get(key);
	if (object === undefined) {
		return problem(404, 'NoSuchKey');
	}
	const headers = {
		'accept-ranges': 'bytes',
		'content-type': 'application/octet-stream',
		'last-modified': 'Tue, 29 Mar 2022 11:56:02 GMT',
		etag: `"${createHash('md5').update(object).digest('hex')}"`,
	};
	const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '') ?? [];
	const [start, end] = [Number(from ?? 0), Math.min(to === undefined || to === '' ? Infinity : Number(to), object.length - 1)];
	if (from !== undefined && start > end) {
		return problem(416, 'InvalidRange');
	}
	const range = from === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${object.length}` };
	res.writeHead(from === undefined ? 200 : 206, { ...headers, ...range, 'content-length': end + 1 - start });
	res.end(req.method === 'HEAD' ? undefined : object.subarray(start, end + 1));
}

/** ListObjectsV2, in one page. */
function listing(objects: ReadonlyMap<string, Buffer>, query: URLSearchParams): string {
	const [prefix, delimiter] = [query.get('prefix') ?? '', query.get('delimiter')];
	const files: string[] = [];
	const folders = new Set<string>();
	for (const [key, { length }] of [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).filter(([key]) => key.startsWith(prefix))) {
		const cut = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length);
		if (cut === -1) {
			files.push(`<Contents><Key>${key}</Key><LastModified>2022-03-29T11:56:02.000Z</LastModified><Size>${length}</Size></Contents>`);
		} else {
			folders.add(`<CommonPrefixes><Prefix>${key.slice(0, cut + 1)}</Prefix></CommonPrefixes>`);
		}
	}
	return `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${BUCKET}</Name><Prefix>${prefix}</Prefix><IsTruncated>false</IsTruncated>${[...files, ...folders].join('')}</ListBucketResult>`;
}

interface Signed {
	/** `20261126T030000Z` */
	date: string;
	/** Day, region and service. */
	scope: string;
	/** Names of headers. */
	headers: string[];
	payload: string;
	signature: string;
	/** Milliseconds since the epoch. */
	until: number;
}

function signedInQuery({ searchParams: query }: URL): Signed | undefined {
	const text = (name: string): string => query.get(`X-Amz-${name}`) ?? '';
	const seconds = Number(text('Expires'));
	return read(text('Credential'), text('Date'), text('SignedHeaders'), text('Signature'), 'UNSIGNED-PAYLOAD', seconds);
}

function signedInHeader(headers: IncomingHttpHeaders): Signed | undefined {
	const [, credential, names, signature] =
		/^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)$/.exec(headers.authorization ?? '') ?? [];
	const [date, payload] = [headers['x-amz-date'], headers['x-amz-content-sha256']].map(String) as [string, string];
	return signature === undefined ? undefined : read(credential!, date, names!, signature, payload, 900);
}

function read(credential: string, date: string, names: string, signature: string, payload: string, seconds: number): Signed | undefined {
	const [, key, scope] = /^([^/]+)\/(\d{8}\/[\w-]+\/s3)\/aws4_request$/.exec(credential) ?? [];
	const start = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
	return key !== ACCESS_KEY || scope === undefined || Number.isNaN(start + seconds)
		? undefined
		: { date, scope, headers: names.split(';'), payload, signature, until: start + seconds * 1000 };
}

function signatureOf({ method, headers }: IncomingMessage, { pathname, searchParams }: URL, signed: Signed): string {
	const encode = (text: string): string =>
		encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
	const query = [...searchParams]
		.filter(([name]) => name !== 'X-Amz-Signature')
		.map(([name, value]) => `${encode(name)}=${encode(value)}`)
		.sort();
	const lines = signed.headers.map((name) => `${name}:${String(headers[name]).trim()}\n`).join('');
	const canonical = [method, pathname, query.join('&'), lines, signed.headers.join(';'), signed.payload].join('\n');
	const scope = `${signed.scope}/aws4_request`;
	const toSign = ['AWS4-HMAC-SHA256', signed.date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
	const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();
	return hmac(scope.split('/').reduce<Buffer | string>(hmac, `AWS4${SECRET_KEY}`), toSign).toString('hex');
}

function isSame(a: string, b: string): boolean {
	return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
