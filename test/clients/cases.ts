import { imageOf, releaseOf } from '../upstream/index.ts';
import type { Client, Pull } from './client.ts';
import type { Servers } from './servers.ts';

/** One row of the matrix. */
export interface Case {
	name: string;
	pull(servers: Servers): Pull;
	/** What a person has to be told where the pull must fail; undefined where it must succeed. */
	sentence?: RegExp;
	/** Whether it can be tried with a client at all. */
	suits?: (client: Client) => boolean;
}

const BROWSER = 'balenablocks/browser-aarch64';
const SECRET = 'acme/secret';
const withPlatform = ({ noPlatform }: Client): boolean => noPlatform !== true;
const withPrivateRedirect = ({ noPrivateRedirect }: Client): boolean => noPrivateRedirect !== true;
const plain = (reference: string, more: Partial<Pull> = {}) => ({ plain: host }: Servers): Pull => ({ host, reference, ...more });

/* What must fail has names of its own: BuildKit shares tokens between builds, whoever asks. */
export const CASES: Case[] = [
	{ name: 'public, by slug', pull: plain(BROWSER) },
	{ name: 'by version', pull: plain(`${BROWSER}/2.3.8`) },
	{ name: 'by version with v', pull: plain(`${BROWSER}/v2.3.8`) },
	{ name: 'by commit', pull: (servers) => ({ host: servers.plain, reference: `${BROWSER}/${releaseOf(servers.upstream, BROWSER, '2.3.8').commit}` }) },
	{ name: 'a draft', pull: plain(`${BROWSER}/2.4.1-1648554962021`) },
	{ name: 'tag ignored', pull: plain(`${BROWSER}/2.3.8:anything`) },
	{ name: 'pinned by digest', pull: (servers) => ({ host: servers.plain, reference: `${BROWSER}@${imageOf(servers.upstream, BROWSER).digest}` }) },
	{ name: 'one of several services', pull: plain('acme/several/1.0.0/db') },
	{ name: 'index, linux/amd64', pull: plain('acme/multi-arch', { platform: 'linux/amd64' }), suits: withPlatform },
	{ name: 'index, linux/arm64', pull: plain('acme/multi-arch', { platform: 'linux/arm64' }), suits: withPlatform },
	{ name: 'a layer of 100 MB', pull: plain('acme/large') },
	{ name: 'blobs behind a 307', pull: ({ redirecting }) => ({ host: redirecting, reference: BROWSER }), suits: withPrivateRedirect },
	{ name: 'private behind a 307', pull: ({ redirecting, upstream }) => ({ host: redirecting, reference: SECRET, key: upstream.keys.owner }), suits: withPrivateRedirect },
	{ name: 'private, with a key', pull: (servers) => plain(SECRET, { key: servers.upstream.keys.owner })(servers) },
	{ name: "private, a stranger's key", pull: (servers) => plain(`${SECRET}/1.0.0`, { key: servers.upstream.keys.stranger })(servers), sentence: /no fleet acme\/secret that this login may pull from/ },
	{ name: 'private, anonymously', pull: plain(SECRET), sentence: /no public fleet acme\/secret/ },
	{ name: 'a wrong key', pull: plain(`${SECRET}/1.1.0`, { key: 'wrong' }), sentence: /the login was refused/ },
	{ name: 'no such release', pull: plain(`${BROWSER}/2.3.9`), sentence: /has no release 2\.3\.9; its latest is 2\.4\.0, and 2\.3\.8 exists/ },
	{ name: 'several services', pull: plain('acme/several'), sentence: /has several services/ },
	{ name: 'as a mirror of another registry', pull: plain(BROWSER, { mirrored: 'registry.example' }), suits: ({ hasMirrors }) => hasMirrors === true },
	{ name: 'TLS at nginx, public', pull: ({ behindNginx, ca }) => ({ host: behindNginx, reference: BROWSER, ca }) },
	{ name: 'TLS at nginx, private', pull: ({ behindNginx, ca, upstream }) => ({ host: behindNginx, reference: SECRET, key: upstream.keys.owner, ca }) },
	{ name: 'own TLS, public', pull: ({ ownTls, ca }) => ({ host: ownTls, reference: BROWSER, ca }) },
	{ name: 'own TLS, private', pull: ({ ownTls, ca, upstream }) => ({ host: ownTls, reference: SECRET, key: upstream.keys.owner, ca }) },
];
