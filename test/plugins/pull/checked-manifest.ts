import assert from 'node:assert/strict';
import { ACCEPT } from '../../support/proxy.ts';
import { ask, type Answer, type Question, type Setup } from '../../support/setup.ts';
import { digestOf } from '../../upstream/image.ts';

/** @returns the answer to a request for a manifest, checked as every client checks it: the bytes are what the digest says, and HEAD says the same */
export async function manifest(
	{ proxy }: Setup,
	name: string,
	reference: string,
	token: string,
	headers: Question['headers'] = {},
): Promise<Answer> {
	const question = { token, headers: { accept: ACCEPT, ...headers } };
	const path = `/v2/${name}/manifests/${reference}`;
	const [head, answer] = [await ask(proxy, path, { ...question, method: 'HEAD' }), await ask(proxy, path, question)];
	assert.equal(answer.status, 200, answer.text);
	assert.equal(digestOf(Buffer.from(answer.text)), answer.headers['docker-content-digest']);
	assert.equal(head.status, 200);
	assert.equal(head.text, '');
	for (const header of ['content-type', 'content-length', 'docker-content-digest', 'etag', 'docker-distribution-api-version']) {
		assert.notEqual(head.headers[header], undefined, header);
		assert.equal(head.headers[header], answer.headers[header], header);
	}
	assert.equal(head.headers['content-length'], String(Buffer.byteLength(answer.text)));
	assert.equal(answer.headers['transfer-encoding'], undefined);
	return answer;
}
