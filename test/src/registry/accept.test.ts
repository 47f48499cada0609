import { describe } from 'node:test';
import { acceptedTypes } from '../../../src/registry/accept.ts';
import { table } from '../../support/table.ts';

const OCI = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';

describe('acceptedTypes: what of an Accept header can matter to a registry', () => {
	table<string | undefined>(
		[
			[undefined, undefined],
			[OCI, OCI],
			[`${OCI},${INDEX}`, `${INDEX}, ${OCI}`],
			[`${INDEX};q=0.5 , ${OCI.toUpperCase()};q=0.9`, `${INDEX}, ${OCI}`],
			[`${OCI}, application/x-1, ${OCI}`, OCI],
			['*/*', '*/*'],
			['application/*', '*/*'],
			['application/x-1', 'application/octet-stream'],
			['', 'application/octet-stream'],
		],
		acceptedTypes,
	);
});
