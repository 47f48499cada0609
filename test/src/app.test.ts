import assert from 'node:assert/strict';
import type { FastifyInstance } from 'fastify';
import { after, before, describe, test } from 'node:test';
import { buildApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import { configOf } from '../support/constants.ts';
import { table } from '../support/table.ts';

// What the service answers by itself, without asking anyone: nothing listens at these upstreams.
const NOWHERE = { API_URL: 'http://127.0.0.1:9', REGISTRY_URL: 'http://127.0.0.1:9', LANDING_PAGE: 'off' };

let app: FastifyInstance;

before(async () => {
	app = await buildApp(parseConfig(NOWHERE), { logger: false });
});

after(() => app.close());

describe('buildApp: the id of a request', () => {
	const given = async (id: string | undefined): Promise<string> => {
		const { headers } = await app.inject({ url: '/ping', headers: id === undefined ? {} : { 'x-request-id': id } });
		return String(headers['x-request-id']);
	};
	table<string | undefined>(
		[
			['abc-123', true],
			['A.b_9', true],
			['x'.repeat(64), true],
			['x'.repeat(65), false],
			['a b', false],
			['a"b', false],
			['', false],
			[undefined, false],
		],
		async (id) => {
			const answered = await given(id);
			assert.match(answered, /^[A-Za-z0-9._-]{1,64}$/);
			return answered === id;
		},
	);
	test('a new one each time', async () => assert.notEqual(await given(undefined), await given(undefined)));
});

describe('buildApp: CLIENT_TIMEOUT', () => {
	for (const seconds of ['0.1', '20', '301', '3600']) {
		test(`${seconds} s bounds the sending of a request`, async (t) => {
			const other = await buildApp(configOf({ ...NOWHERE, CLIENT_TIMEOUT: seconds, IDLE_TIMEOUT: '3600' }), { logger: false });
			t.after(() => other.close());
			assert.deepEqual([other.server.requestTimeout, other.server.headersTimeout], [Number(seconds) * 1000, Number(seconds) * 1000]);
		});
	}
});
