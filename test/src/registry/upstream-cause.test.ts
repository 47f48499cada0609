import { describe } from 'node:test';
import { upstreamCause } from '../../../src/registry/upstream-cause.ts';
import { table } from '../../support/table.ts';

describe('upstreamCause: the status, and the first of the upstream’s own words', () => {
	const error = { code: 'UNKNOWN', message: 'unknown error', detail: 'filesystem: disk full' };
	const long = JSON.stringify({ errors: [{ message: 'x'.repeat(1000) }] });
	table<string>(
		[
			['', 'the registry answered with status 500'],
			['<html>no</html>', 'the registry answered with status 500'],
			['null', 'the registry answered with status 500'],
			['{"errors":[]}', 'the registry answered with status 500'],
			[JSON.stringify({ errors: [error, { code: 'OTHER' }] }), `the registry answered with status 500: ${JSON.stringify(error)}`],
			// Bounded, and legible where it is cut.
			[long, `the registry answered with status 500: ${long.slice('{"errors":['.length, '{"errors":['.length + 300)}`],
			['{"errors":[{"code":"UNKNOWN","det', 'the registry answered with status 500: {"code":"UNKNOWN","det'],
			// Of a storage's, what was signed stays out of the log.
			[
				'<Error><Code>AccessDenied</Code><StringToSign>secret</StringToSign></Error>',
				'the registry answered with status 500: AccessDenied',
			],
		],
		(body) => upstreamCause('the registry', 500, Buffer.from(body)).message,
	);
});
