import { describe } from 'node:test';
import { nextQuery, ownLink } from '../../../src/registry/link.ts';
import { table } from '../../support/table.ts';

const PATH = '/v2/v2/abc/referrers/sha256:0';
const OWN = '/v2/org/app/referrers/sha256:0';

describe(`nextQuery: of ${PATH}`, () => {
	table<string | string[] | undefined>(
		[
			[`<${PATH}?n=1&last=x>; rel="next"`, 'n=1&last=x'],
			[`<https://inner:5000${PATH}?nextToken=a%2B>; rel="next"`, 'nextToken=a%2B'],
			[`<https://inner/prefix${PATH}?n=1>; rel="next"`, 'n=1'],
			['<?n=1>;rel=next', 'n=1'],
			['<?n=1>; title="x"; REL="prev next"', 'n=1'],
			['<?n=1>; rel="prev", <?n=2>; rel="next"', 'n=2'],
			[['<?n=1>; rel="prev"', '<?n=2>; rel="next"'], 'n=2'],
			['<?n=1>; rel="prev"', undefined],
			['<?n=1>; rel="nextish"', undefined],
			['<?n=1>; rel=nextish', undefined],
			['<?n=1>', undefined],
			['</v2/other/referrers/sha256:0?n=1>; rel="next"', undefined],
			['</login?n=1>; rel="next"', undefined],
			[`<${PATH}>; rel="next"`, undefined],
			['<http://[?n=1>; rel="next"', undefined],
			['?n=1; rel="next"', undefined],
			[`<?n=${'1'.repeat(9000)}>; rel="next"`, undefined],
			['', undefined],
			[undefined, undefined],
		],
		(link) => nextQuery(link, PATH),
	);
});

describe('ownLink: under the name that the client knows', () => {
	table<string>(
		[
			[`<${PATH}?n=1&last=x&artifactType=a%2fb>; rel="next"`, `<${OWN}?n=1&last=x&artifactType=a%2Fb>; rel="next"`],
			[`<http://inner${PATH}?nextToken=a%2B%3E>; rel="next"`, `<${OWN}?nextToken=a%2B%3E>; rel="next"`],
			// What would be dropped when the client follows it.
			[`<${PATH}?n=1&cursor=x>; rel="next"`, undefined],
			[`<${PATH}?n=1&artifactType=x>; rel="next"`, undefined],
			['</login?n=1>; rel="next"', undefined],
		],
		(link) => ownLink(link, PATH, OWN),
	);
});
