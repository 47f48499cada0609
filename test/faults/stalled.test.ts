import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, basic } from '../support/proxy.ts';
import { LONG } from '../support/expect.ts';
import { ask, CACHE_MODES, setUp, tokenFor, type Answer, type Question } from '../support/setup.ts';
import { imageOf } from '../upstream/index.ts';
import { sharedUpstream } from '../upstream/shared.ts';
import { until } from '../support/until.ts';

/* One request to an upstream hangs, as behind a firewall that has forgotten a connection; the next ones to it do not. */

const upstream = await sharedUpstream();
const NAME = 'acme/pinned/1.0.0';
const IMAGE = imageOf(upstream, 'acme/pinned', '1.0.0');

interface Row {
	of: 'api' | 'registry';
	/** The request that hangs, once. */
	hangs: RegExp;
	path: string;
	question?: Question;
	needsToken?: boolean;
	status?: number;
	/** Whether who comes later asks for themselves at once. */
	isShared: boolean;
}

const TOKEN = `/auth/v1/token?scope=repository:${NAME}:pull`;
const LOGIN = { headers: { authorization: basic(upstream.keys.owner) } };
const ACCEPTING = { headers: { accept: ACCEPT } };
const ROWS: Record<string, Row> = {
	'a name': { of: 'api', hangs: /^\/v7\//, path: TOKEN, isShared: true },
	'a name, with a login': { of: 'api', hangs: /^\/v7\//, path: TOKEN, question: LOGIN, isShared: true },
	'a token': { of: 'api', hangs: /^\/auth\//, path: TOKEN, isShared: true },
	'the registry’s name for itself': { of: 'registry', hangs: /^\/v2\/$/, path: '/v2/', status: 401, isShared: true },
	'a check of whether it is ready': { of: 'registry', hangs: /^\/v2\/$/, path: '/ready', isShared: true },
	'a manifest by tag': {
		of: 'registry',
		hangs: /manifests/,
		path: `/v2/${NAME}/manifests/latest`,
		question: ACCEPTING,
		needsToken: true,
		isShared: true,
	},
	'a manifest by digest': {
		of: 'registry',
		hangs: /manifests/,
		path: `/v2/${NAME}/manifests/${IMAGE.digest}`,
		question: ACCEPTING,
		needsToken: true,
		isShared: true,
	},
	'a HEAD of a tag': {
		of: 'registry',
		hangs: /manifests/,
		path: `/v2/${NAME}/manifests/latest`,
		question: { ...ACCEPTING, method: 'HEAD' },
		needsToken: true,
		isShared: false,
	},
	'a blob': {
		of: 'registry',
		hangs: /blobs/,
		path: `/v2/${NAME}/blobs/${IMAGE.platforms[0]!.layers[0]!.digest}`,
		needsToken: true,
		isShared: false,
	},
	'a ping': { of: 'registry', hangs: /^\/v2\/$/, path: '/v2/', needsToken: true, isShared: false },
};

for (const [mode, env] of Object.entries(CACHE_MODES)) {
	test(
		`one request that hangs holds up nobody for longer than two seconds; ${mode}`,
		{ concurrency: true, timeout: 120_000 },
		async (t) => {
			await Promise.all(
				Object.entries(ROWS).map(([what, { of, hangs, path, question = {}, needsToken = false, status = 200, isShared }]) =>
					t.test(what, async (t) => {
						const setup = await setUp(t, { ...LONG, ...env });
						const { proxy } = setup;
						const relay = setup[of];
						const token = needsToken ? { token: await tokenFor(proxy, NAME) } : {};
						let asked = 0;
						relay.fault = ({ url }) => (hangs.test(url) && ++asked === 1 ? 'hang' : undefined);
						const gone = new AbortController();
						const first = ask(proxy, path, { ...question, ...token, signal: gone.signal });
						await until(() => asked === 1);
						const others: Promise<Answer>[] = [];
						await until(
							() => {
								others.push(ask(proxy, path, { ...question, ...token }));
								return asked > 1;
							},
							{ everyMs: 100 },
						);
						for (const answer of await Promise.all(others)) {
							assert.equal(answer.status, status, answer.text);
						}
						if (isShared) {
							// The first answer is for all, and ends what hangs.
							assert.equal((await first).status, status);
						} else {
							gone.abort();
							await assert.rejects(first);
						}
						await until(() => relay.underWay === 0);
					}),
				),
			);
		},
	);
}
