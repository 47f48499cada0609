import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT } from '../../support/proxy.ts';
import { ask, type Question } from '../../support/setup.ts';
import { withBrokenRegistry } from '../../support/broken-registry.ts';

/* Lengths and types: what the registry says of them, what it does not say, and what a client hears of that. Bytes by a raw server, because no library would send them. */

const NAME = 'acme/pinned/1.0.0';
const DIGEST = `sha256:${'a'.repeat(64)}`;
const PATHS = {
	'a blob': `/v2/${NAME}/blobs/${DIGEST}`,
	'a manifest by tag': `/v2/${NAME}/manifests/latest`,
	referrers: `/v2/${NAME}/referrers/${DIGEST}`,
};

const CONDITION = { 'if-none-match': `"${DIGEST}"` };
const NONE = { 'content-length': undefined, 'content-type': undefined, 'transfer-encoding': undefined };

const ROWS: Record<string, { question: Question; answer: string; fields: Record<string, string | undefined> }> = {
	'a HEAD without a length': { question: { method: 'HEAD' }, answer: '200 OK\r\n', fields: NONE },
	'a HEAD in chunks': {
		question: { method: 'HEAD' },
		answer: '200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n',
		fields: { 'content-length': undefined, 'content-type': 'a/b' },
	},
	'a HEAD with a length': {
		question: { method: 'HEAD' },
		answer: '200 OK\r\nContent-Type: a/b\r\nContent-Length: 70000\r\n',
		fields: { 'content-length': '70000', 'content-type': 'a/b' },
	},
	'a HEAD of nothing': {
		question: { method: 'HEAD' },
		answer: '200 OK\r\nContent-Length: 0\r\n',
		fields: { 'content-length': '0', 'content-type': undefined },
	},
	'a 304 to a GET': {
		question: { headers: CONDITION },
		answer: `304 Not Modified\r\nETag: "${DIGEST}"\r\n`,
		fields: { ...NONE, etag: `"${DIGEST}"` },
	},
	'a 304 to a HEAD': {
		question: { method: 'HEAD', headers: CONDITION },
		answer: `304 Not Modified\r\nETag: "${DIGEST}"\r\n`,
		fields: { ...NONE, etag: `"${DIGEST}"` },
	},
	'a 304 with the length of what it spares': {
		question: { headers: CONDITION },
		answer: `304 Not Modified\r\nETag: "${DIGEST}"\r\nContent-Length: 500\r\n`,
		fields: { 'content-length': '500', 'content-type': undefined },
	},
	'fields that belong to one connection': {
		question: {},
		answer: '200 OK\r\nContent-Length: 0\r\nOCI-Subject: x\r\nWarning: 299 - "x"\r\nConnection: keep-alive, OCI-Subject\r\n',
		fields: { 'oci-subject': undefined, warning: '299 - "x"' },
	},
};

test('of length and type, nothing is said that the registry did not say, and of its connection nothing at all', async (t) => {
	let bytes = '';
	const { proxy, token } = await withBrokenRegistry(t, NAME, (socket) => void socket.write(`HTTP/1.1 ${bytes}\r\n`));
	for (const [kind, path] of Object.entries(PATHS)) {
		for (const [what, { question, answer: head, fields }] of Object.entries(ROWS)) {
			await t.test(`${what}: ${kind}`, async () => {
				bytes = head;
				const answer = await ask(proxy, path, { ...question, headers: { accept: ACCEPT, ...question.headers }, token });
				assert.equal(answer.status, Number(head.slice(0, 3)), answer.text);
				assert.deepEqual(Object.fromEntries(Object.keys(fields).map((name) => [name, answer.headers[name]])), fields);
			});
		}
	}
});
