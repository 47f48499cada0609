import { describe } from 'node:test';
import { ANY_FORMAT, formatError, lacksFormats } from '../../../src/registry/formats.ts';
import { ACCEPT } from '../../support/proxy.ts';
import { table } from '../../support/table.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';
const LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';

describe('lacksFormats', () => {
	table<string | undefined>(
		[
			[undefined, true],
			['*/*', true],
			[`${DOCKER}, ${LIST}`, true],
			[ACCEPT, false],
			[ANY_FORMAT, false],
		],
		lacksFormats,
	);
});

describe('formatError: what is there, and what the client accepts', () => {
	table<[contentType: string | undefined, accept?: string]>(
		[
			[[INDEX, `${DOCKER}, ${LIST}`], 'org/app is an OCI index, and this client accepts only: Docker manifest list, Docker manifest'],
			[[`${INDEX}; charset=utf-8`, DOCKER], 'org/app is an OCI index, and this client accepts only: Docker manifest'],
			[[LIST, DOCKER], 'org/app is a Docker manifest list, and this client accepts only: Docker manifest'],
			// curl.
			[[INDEX, '*/*'], `org/app is an OCI index, which is sent only to clients that ask for it: Accept: ${INDEX}`],
			[[INDEX], `org/app is an OCI index, which is sent only to clients that ask for it: Accept: ${INDEX}`],
			[['application/json', DOCKER], 'org/app is a manifest of another kind, and this client accepts only: Docker manifest'],
			[[INDEX, `${DOCKER}, ${INDEX}`], undefined],
			[[undefined, DOCKER], undefined],
			[['', DOCKER], undefined],
		],
		([contentType, accept]) => formatError('org/app', contentType, accept)?.message,
	);
});
