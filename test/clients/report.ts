/** What came of one case with one client. */
export interface Result {
	client: string;
	version: string;
	name: string;
	passed: boolean;
	/** Whether the sentence that explains a failure was printed; undefined where nothing had to be explained. */
	isSaid?: boolean;
	/** Why it did not pass. */
	reason?: string;
	/** The line that a person would read. */
	printed: string;
	/** All that was printed. */
	output?: string;
}

const MAX_PRINTED = 220;

/** @returns docs/clients.md: the matrix, what each client printed where it had to explain something, and what was not run */
export function document(results: Result[], notRun: { client: string; why: string }[]): string {
	const clients = [...new Set(results.map(({ client }) => client))];
	const versionOf = (client: string): string => results.find((result) => result.client === client)?.version ?? '';
	const sections = clients.map((client) => {
		const rows = results.filter((result) => result.client === client);
		return [`### ${client} ${versionOf(client)}`, '', '| Case | | Printed |', '| --- | --- | --- |', ...rows.map(row), ''].join('\n');
	});
	return `# Clients

What \`npm run test:clients\` saw in its last run: real clients against this service, in front of a real registry (docker-registry) and the real OData engine of the balena API with sample fleets.
"says why": the sentence that explains a failure was in what the client printed. "hides why": the pull failed as it should, but the client prints neither the body nor the reason of that answer.

| Client | Version | Passed | Failed | Says why |
| --- | --- | --- | --- | --- |
${clients
	.map((client) =>
		summary(
			client,
			versionOf(client),
			results.filter((result) => result.client === client),
		),
	)
	.join('\n')}

Not run, and so not known:

${notRun.map(({ client, why }) => `- ${client}: ${why}`).join('\n')}

## Case by case

${sections.join('\n')}`;
}

function summary(client: string, version: string, results: Result[]): string {
	const toExplain = results.filter(({ isSaid }) => isSaid !== undefined);
	const passed = results.filter((result) => result.passed).length;
	return `| ${client} | ${version} | ${passed} | ${results.length - passed} | ${toExplain.length === 0 ? '' : `${toExplain.filter(({ isSaid }) => isSaid).length} of ${toExplain.length}`} |`;
}

function row({ name, passed, isSaid, reason, printed }: Result): string {
	const verdict = `${passed ? 'pass' : '**fail**'}${isSaid === undefined ? '' : isSaid ? ', says why' : ', hides why'}`;
	return `| ${name} | ${verdict} | ${isSaid === undefined && passed ? '' : `${reason ?? ''} ${cell(printed)}`.trim()} |`;
}

/** The end of what was printed, without what differs from run to run, as it may stand in a table. */
function cell(printed: string): string {
	const line =
		printed
			.trim()
			.split('\n')
			.filter((text) => text.trim() !== '')
			.at(-1) ?? '';
	const steady = line
		.replace(/(?:127\.0\.0\.1|localhost):\d+/g, '<host>')
		.replace(/\d{4}-\d\d-\d\dT[\d:.+Z-]+/g, '<time>')
		.replace(/(?:\/var)?\/tmp\/[\w./-]+/g, '<directory>')
		.replace(/[|`]/g, "'");
	return `\`${steady.length > MAX_PRINTED ? `…${steady.slice(-MAX_PRINTED)}` : steady}\``;
}
