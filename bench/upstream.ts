import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { startNginx } from './nginx.ts';
import { type Running } from './processes.ts';
import { freePort } from '../test/upstream/listen.ts';

/** What all proxies under test stand in front of: nginx with static files, which plays the registry and the balena API at once. */
export interface Upstream extends Running {
	url: string;
	content: Content;
}

export interface Content {
	/** How the upstream calls the image, and how people do. */
	repository: string;
	name: string;
	/** Digests of the manifest, and of blobs by what is answered for them. */
	manifest: string;
	/** Of manifests that differ in nothing that matters, for requests of which no two at a time are the same. */
	manifests: string[];
	bigBlob: string;
	middleBlob: string;
	redirectedBlob: string;
	/** The balena API's token for the repository, with the alias. */
	token: string;
}

export const GB = 1e9;
export const BIG_BLOB_BYTES = GB;
export const MIDDLE_BLOB_BYTES = 100e6;

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
const LAYER_BYTES = [20_000, 200_000, 1_000, 2_000_000, 50_000, 500_000, 4_000, 1_000_000, 10_000, 100_000];

/** Many more than are asked for at once. */
const MANIFESTS = 256;

const NAME = 'acme/web/1.2.3';
const SIGNED_URL_LIFE_S = 6 * 3600;

/** Starts it. @param directory for its files, a gigabyte of them without content */
export async function startUpstream(directory: string): Promise<Upstream> {
	const root = join(directory, 'files');
	const port = await freePort();
	const url = `http://127.0.0.1:${port}`;
	const content = writeFiles(root, `127.0.0.1:${port}`);
	const signed = `https://storage.example.com/${content.redirectedBlob}?X-Amz-Date=${basicTime(new Date())}&X-Amz-Expires=${SIGNED_URL_LIFE_S}&X-Amz-Signature=${'0'.repeat(64)}`;
	const challenge = `Bearer realm="${url}/auth/v1/token",service="127.0.0.1:${port}"`;
	const nginx = await startNginx(
		directory,
		`
	open_file_cache max=1000 inactive=1h;
	types {}
	map $reference $digest {
		latest ${content.manifest};
		default $reference;
	}
	default_type application/octet-stream;
	server {
		listen 127.0.0.1:${port} backlog=4096;
		root ${root};
		add_header Docker-Distribution-Api-Version registry/2.0 always;
		location = /v2/ {
			add_header Docker-Distribution-Api-Version registry/2.0 always;
			default_type application/json;
			if ($http_authorization = "") {
				add_header Www-Authenticate '${challenge}' always;
				return 401 '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}';
			}
			return 200 '{}';
		}
		location ~ ^/v2/.*/manifests/(?<reference>[^/]+)$ {
			default_type ${MANIFEST};
			add_header Docker-Content-Digest $digest;
			add_header Docker-Distribution-Api-Version registry/2.0;
		}
		location = /v2/${content.repository}/blobs/${content.redirectedBlob} {
			return 307 '${signed}';
		}
		location = /auth/v1/token { default_type application/json; }
		location = /v7/release { default_type application/json; }
		location = /ping { return 200 OK; }
	}`,
		`${url}/ping`,
	);
	return { ...nginx, url, content };
}

function writeFiles(root: string, host: string): Content {
	const repository = `v2/${randomBytes(16).toString('hex')}`;
	const write = (path: string, bytes: Buffer | string): void => {
		mkdirSync(join(root, path, '..'), { recursive: true });
		writeFileSync(join(root, path), bytes);
	};
	const writeBlob = (mediaType: string, bytes: Buffer) => {
		const digest = sha256(bytes);
		write(`v2/${repository}/blobs/${digest}`, bytes);
		return { mediaType, size: bytes.length, digest };
	};
	/** A file of zeros that takes no room; its digest is nobody's, and the clients that load it do not check. */
	const writeHole = (size: number): string => {
		const digest = sha256(randomBytes(32));
		write(`v2/${repository}/blobs/${digest}`, '');
		truncateSync(join(root, `v2/${repository}/blobs/${digest}`), size);
		return digest;
	};

	const layers = LAYER_BYTES.map((size) => writeBlob(LAYER, gzipSync(randomBytes(size))));
	const config = writeBlob(
		CONFIG,
		Buffer.from(
			JSON.stringify({
				architecture: 'amd64',
				os: 'linux',
				config: {},
				rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
			}),
		),
	);
	const writeManifest = (size: number): { manifest: Buffer; digest: string } => {
		const manifest = Buffer.from(
			JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: { ...config, size }, layers }, undefined, 3),
		);
		const digest = sha256(manifest);
		write(`v2/${repository}/manifests/${digest}`, manifest);
		return { manifest, digest };
	};
	const { manifest, digest } = writeManifest(config.size);
	const manifests = Array.from({ length: MANIFESTS }, (_, i) => writeManifest(10_000 + i).digest);
	write(`v2/${repository}/manifests/latest`, manifest);

	const token = jwt({
		access: [{ type: 'repository', name: repository, actions: ['pull'], alias: NAME }],
		aud: host,
		sub: '',
		exp: Math.floor(Date.now() / 1000) + 14_400,
	});
	write('auth/v1/token', JSON.stringify({ token }));
	write('v7/release', JSON.stringify({ d: [release(`${host}/${repository}`, digest)] }));
	return {
		repository,
		name: NAME,
		manifest: digest,
		manifests,
		bigBlob: writeHole(BIG_BLOB_BYTES),
		middleBlob: writeHole(MIDDLE_BLOB_BYTES),
		redirectedBlob: sha256(randomBytes(32)),
		token,
	};
}

/** One row of the balena API's OData, as the resolution reads it. */
function release(location: string, digest: string): unknown {
	return {
		id: 1,
		commit: '0123456789abcdef0123456789abcdef',
		semver: '1.2.3',
		semver_major: 1,
		semver_minor: 2,
		semver_patch: 3,
		raw_version: '1.2.3',
		revision: 0,
		is_final: true,
		status: 'success',
		release_image: [
			{
				id: 1,
				image: [
					{
						id: 1,
						is_stored_at__image_location: location,
						content_hash: digest,
						is_a_build_of__service: [{ id: 1, service_name: 'main' }],
					},
				],
			},
		],
	};
}

/** A token of the size and form of the balena API's. Its signature is noise: nobody here verifies it. */
function jwt(claims: Record<string, unknown>): string {
	const now = Math.floor(Date.now() / 1000);
	const header = { alg: 'ES256', typ: 'JWT', kid: randomBytes(36).toString('base64url') };
	const payload = { jti: randomBytes(16).toString('hex'), nbf: now - 10, iat: now, iss: 'api.example.com', ...claims };
	const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url');
	return `${encode(header)}.${encode(payload)}.${randomBytes(64).toString('base64url')}`;
}

function sha256(bytes: Buffer): string {
	return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The basic format of ISO 8601, as in AWS's signed URLs. */
function basicTime(time: Date): string {
	return time.toISOString().replace(/[-:]|\.\d+/g, '');
}
