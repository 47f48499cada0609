import { imageOf, releaseOf, type ImageSummary } from '../upstream/index.ts';
import { ACCEPT, basic } from '../support/proxy.ts';
import { ask, tokenFor } from '../support/setup.ts';
import type { Client, Pull } from './client.ts';
import type { Counts } from './registries.ts';
import type { Servers } from './servers.ts';

/** One row of the matrix. */
export interface Case {
	name: string;
	/** @param index the digest of `index`, where the case has one */
	pull(servers: Servers, index?: string): Pull;
	/** Where the pull must succeed: fleet, raw version and service of the image that has to come. */
	image?: [fleet: string, rawVersion?: string, service?: string];
	/** Of a block: what a client that keeps all platforms has instead of its own image. */
	index?(servers: Servers): Promise<string>;
	/** Where the pull must fail: what a person has to be told. */
	sentence?: RegExp;
	/** What must have happened on the way. */
	needs?: (keyof Counts)[];
	/** Whether it can be tried with a client at all. */
	suits?: (client: Client) => boolean;
}

const BROWSER = 'balenalabs/browser-aarch64';
const SECRET = 'acme/secret';
const BLOCK = 'acme/display';
const VEILED = 'acme/veiled';
const withIndex = ({ noIndex }: Client): boolean => noIndex !== true;
const withPlatform = ({ noPlatform, noIndex }: Client): boolean => noPlatform !== true && noIndex !== true;
const plain =
	(reference: string, more: Partial<Pull> = {}) =>
	({ plain: host }: Servers): Pull => ({ host, reference, ...more });

/** Digest of what a name is, by the service's own answer. */
const indexOf =
	(name: string, key?: string) =>
	async ({ plain: host }: Servers): Promise<string> => {
		const proxy = { url: `http://${host}` };
		const answer = await ask(proxy, `/v2/${name}/manifests/latest`, {
			token: await tokenFor(proxy, name, key && basic(key)),
			headers: { accept: ACCEPT },
		});
		return String(answer.headers['docker-content-digest']);
	};

/* What must fail has names of its own: BuildKit shares tokens between builds, whoever asks. */
export const CASES: Case[] = [
	{ name: 'public, by slug', image: [BROWSER], pull: plain(BROWSER) },
	{ name: 'by version', image: [BROWSER, '2.3.8+rev2'], pull: plain(`${BROWSER}/2.3.8`) },
	{ name: 'by version with v', image: [BROWSER, '2.3.8+rev2'], pull: plain(`${BROWSER}/v2.3.8`) },
	{
		name: 'by commit',
		image: [BROWSER, '2.3.8'],
		pull: (servers) => ({ host: servers.plain, reference: `${BROWSER}/${releaseOf(servers.upstream, BROWSER, '2.3.8').commit}` }),
	},
	{ name: 'a draft', image: [BROWSER, '2.4.1-1648554962021'], pull: plain(`${BROWSER}/2.4.1-1648554962021`) },
	{ name: 'tag ignored', image: [BROWSER, '2.3.8+rev2'], pull: plain(`${BROWSER}/2.3.8:anything`) },
	{
		name: 'pinned by digest',
		image: [BROWSER],
		pull: (servers) => ({ host: servers.plain, reference: `${BROWSER}@${imageOf(servers.upstream, BROWSER).digest}` }),
	},
	{ name: 'one of several services', image: ['acme/several', '1.0.0', 'db'], pull: plain('acme/several/1.0.0/db') },
	{
		name: 'index, linux/amd64',
		image: ['acme/multi-arch'],
		pull: plain('acme/multi-arch', { platform: 'linux/amd64' }),
		suits: withPlatform,
	},
	{
		name: 'index, linux/arm64',
		image: ['acme/multi-arch'],
		pull: plain('acme/multi-arch', { platform: 'linux/arm64' }),
		suits: withPlatform,
	},
	{ name: 'a block', image: [`${BLOCK}-amd64`], index: indexOf(BLOCK), pull: plain(BLOCK), suits: withIndex },
	{
		name: 'a block, linux/arm64',
		image: [`${BLOCK}-aarch64`],
		pull: plain(BLOCK, { platform: 'linux/arm64' }),
		suits: withPlatform,
	},
	{
		name: 'a block, linux/arm/v7',
		image: [`${BLOCK}-armv7hf`],
		pull: plain(BLOCK, { platform: 'linux/arm/v7' }),
		suits: (client) => withPlatform(client) && client.noVariant !== true,
	},
	{
		name: 'a block, a release of it',
		image: [`${BLOCK}-amd64`, '1.0.0'],
		index: indexOf(`${BLOCK}/1.0.0`),
		pull: plain(`${BLOCK}/1.0.0`),
		suits: withIndex,
	},
	{
		name: 'a block, by tag',
		image: [`${BLOCK}-amd64`, '1.0.0'],
		index: indexOf(`${BLOCK}/1.0.0`),
		pull: plain(`${BLOCK}:1.0.0`),
		suits: withIndex,
	},
	{
		name: 'a block, pinned by digest',
		image: [`${BLOCK}-amd64`],
		index: indexOf(`${BLOCK}/1.1.0`),
		pull: ({ plain: host }, index) => ({ host, reference: `${BLOCK}/1.1.0@${index}` }),
		suits: withIndex,
	},
	{
		name: 'a block, private',
		image: [`${VEILED}-amd64`],
		index: (servers) => indexOf(VEILED, servers.upstream.keys.owner)(servers),
		pull: (servers) => plain(VEILED, { key: servers.upstream.keys.owner })(servers),
		suits: withIndex,
	},
	{ name: 'a block, private, anonymously', pull: plain(`${VEILED}/1.0.0`), sentence: /no public fleet acme\/veiled/ },
	{ name: 'a layer of 100 MB', image: ['acme/large'], pull: plain('acme/large') },
	{
		name: 'a layer that breaks off is resumed',
		image: ['acme/large'],
		pull: ({ breaking }) => ({ host: breaking, reference: 'acme/large' }),
		needs: ['brokenOff', 'ranges'],
		suits: ({ resumes }) => resumes === true,
	},
	{
		name: 'a layer that breaks off is not taken for whole',
		pull: ({ breaking }) => ({ host: breaking, reference: 'acme/large' }),
		// In each language's words.
		sentence: /unexpected EOF|premature|incomplete|closed|terminated/i,
		suits: ({ resumes, noBlobs }) => resumes !== true && noBlobs !== true,
	},
	{
		name: 'blobs behind a 307',
		image: [BROWSER],
		pull: ({ redirecting }) => ({ host: redirecting, reference: BROWSER }),
		needs: ['stored'],
		suits: ({ noBlobs }) => noBlobs !== true,
	},
	{
		name: 'private behind a 307',
		image: [SECRET],
		pull: ({ redirecting, upstream }) => ({ host: redirecting, reference: SECRET, key: upstream.keys.owner }),
		needs: ['stored'],
		suits: ({ noBlobs }) => noBlobs !== true,
	},
	{ name: 'private, with a key', image: [SECRET], pull: (servers) => plain(SECRET, { key: servers.upstream.keys.owner })(servers) },
	{
		name: "private, a stranger's key",
		pull: (servers) => plain(`${SECRET}/1.0.0`, { key: servers.upstream.keys.stranger })(servers),
		sentence: /no fleet acme\/secret that this login may pull from/,
	},
	{ name: 'private, anonymously', pull: plain(SECRET), sentence: /no public fleet acme\/secret/ },
	{ name: 'a wrong key', pull: plain(`${SECRET}/1.1.0`, { key: 'wrong' }), sentence: /the login was refused/ },
	{
		name: 'no such release',
		pull: plain(`${BROWSER}/2.3.9`),
		sentence: /has no release 2\.3\.9; its latest is 2\.4\.0, and 2\.3\.8 exists/,
	},
	{ name: 'several services', pull: plain('acme/several'), sentence: /has several services/ },
	{
		name: 'as a mirror of another registry',
		image: [BROWSER],
		pull: plain(BROWSER, { mirrored: 'registry.example' }),
		suits: ({ hasMirrors }) => hasMirrors === true,
	},
	{ name: 'TLS at nginx, public', image: [BROWSER], pull: ({ behindNginx, ca }) => ({ host: behindNginx, reference: BROWSER, ca }) },
	{
		name: 'TLS at nginx, private',
		image: [SECRET],
		pull: ({ behindNginx, ca, upstream }) => ({ host: behindNginx, reference: SECRET, key: upstream.keys.owner, ca }),
	},
	{ name: 'own TLS, public', image: [BROWSER], pull: ({ ownTls, ca }) => ({ host: ownTls, reference: BROWSER, ca }) },
	{
		name: 'own TLS, private',
		image: [SECRET],
		pull: ({ ownTls, ca, upstream }) => ({ host: ownTls, reference: SECRET, key: upstream.keys.owner, ca }),
	},
];

/** @returns whether what a client has is the image, of one platform where one is named: an index has the same digest for all */
export function isImage(image: string, { digest, platforms }: ImageSummary, platform?: string): boolean {
	const wanted = platforms
		.filter((one) => platform === undefined || one.platform === platform)
		.flatMap((one) => [one.digest, one.configDigest, ...one.layers.map((layer) => layer.digest)]);
	return [...wanted, ...(platform === undefined ? [digest] : [])].some((one) => image.includes(one.replace('sha256:', '')));
}
