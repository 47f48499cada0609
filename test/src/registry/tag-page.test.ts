import { describe } from 'node:test';
import { tagPage } from '../../../src/registry/tag-page.ts';
import type { Pagination } from '../../../src/registry/request.ts';
import { table } from '../../support/table.ts';

const PATH = '/v2/org/app/tags/list';

describe('tagPage: sorted, with a link where there is more', () => {
	table<[tags: string[], pagination: Partial<Pagination>]>(
		[
			[[[], {}], { tags: [] }],
			[[['latest'], {}], { tags: ['latest'] }],
			[[['b', 'c', 'a'], {}], { tags: ['a', 'b', 'c'] }],
			// Lexical, as the spec says, not by version.
			[[['2.10.0', '2.9.0', '10.0.0'], {}], { tags: ['10.0.0', '2.10.0', '2.9.0'] }],
			[[['b', 'B', '_', '1'], {}], { tags: ['1', 'B', '_', 'b'] }],
			[[['a', 'b', 'a'], {}], { tags: ['a', 'b'] }],
			[[['a', 'b', 'c'], { n: 3 }], { tags: ['a', 'b', 'c'] }],
			[[['a', 'b', 'c'], { n: 10 }], { tags: ['a', 'b', 'c'] }],
			[[['c', 'b', 'a'], { n: 2 }], { tags: ['a', 'b'], link: `<${PATH}?n=2&last=b>; rel="next"` }],
			[[['a', 'b', 'c'], { n: 2, last: 'b' }], { tags: ['c'] }],
			[[['a', 'b', 'c', 'd'], { n: 1, last: 'b' }], { tags: ['c'], link: `<${PATH}?n=1&last=c>; rel="next"` }],
			// What was last need not be there any more.
			[[['a', 'c'], { last: 'b' }], { tags: ['c'] }],
			[[['a', 'b'], { last: 'b' }], { tags: [] }],
			[[['a', 'b'], { last: 'z' }], { tags: [] }],
			[[['a', 'b'], { n: 0 }], { tags: [] }],
			[[[], { n: 0 }], { tags: [] }],
			[[['a"<>\r\n', 'b'], { n: 1 }], { tags: ['a"<>\r\n'], link: `<${PATH}?n=1&last=a%22%3C%3E%0D%0A>; rel="next"` }],
		],
		([tags, pagination]) => tagPage(tags, { n: undefined, last: undefined, ...pagination }, PATH),
	);
});
