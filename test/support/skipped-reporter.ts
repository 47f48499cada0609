import type { TestEvent } from 'node:test/reporters';

/** A reporter for the end of a run: which tests were skipped, by the reason. It is silent where there are none. */
export default async function* skipped(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
	const reasons = new Map<string, string[]>();
	for await (const { type, data } of events) {
		if ((type === 'test:pass' || type === 'test:fail') && data.skip !== undefined && data.skip !== false) {
			const reason = data.skip === true ? 'for no reason that is given' : data.skip;
			const file = data.file?.replace(`${process.cwd()}/`, '') ?? '';
			reasons.set(reason, [...(reasons.get(reason) ?? []), `${file}: ${data.name}`]);
		}
	}
	for (const [reason, tests] of reasons) {
		yield `\nskipped, because ${reason}:\n${tests.map((test) => `  ${test}\n`).join('')}`;
	}
}
