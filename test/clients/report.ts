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

/** @returns docs/clients.md: the matrix, and what was not run */
export function matrix(results: Result[], notRun: { client: string; why: string }[]): string {
	return `# Clients

What \`npm run test:clients\` saw in its last run: real clients against this service, in front of a real registry (docker-registry) and the real OData engine of the balena API with sample fleets.
"says why": the sentence that explains a failure was in what the client printed. "hides why": the pull failed as it should, but the client prints neither the body nor the reason of that answer.
Case by case, with what each client printed: [reports/clients.md](reports/clients.md). The conformance suite, test by test: [reports/conformance.txt](reports/conformance.txt).

| Client | Version | Passed | Failed | Says why |
| --- | --- | --- | --- | --- |
${byClient(results)
	.map(([client, ofClient]) => summary(client, ofClient))
	.join('\n')}

Not run, and so not known:

${notRun.map(({ client, why }) => `- ${client}: ${why}`).join('\n')}
`;
}

/** @returns docs/reports/clients.md: each case with each client, and what it printed where it had to explain something */
export function caseByCase(results: Result[]): string {
	const sections = byClient(results).map(([client, ofClient]) =>
		[`## ${client} ${ofClient[0]!.version}`, '', '| Case | | Printed |', '| --- | --- | --- |', ...ofClient.map(row), ''].join('\n'),
	);
	return `# Clients, case by case

Written by \`npm run test:clients\`; [clients.md](../clients.md) sums it up and explains the words.

${sections.join('\n')}`;
}

const KUBELET_HEADING = '\n## The kubelet\n';

/** @returns the end of docs/clients.md that the kubelet's own job wrote, or nothing */
export function kubeletIn(page: string): string {
	const start = page.indexOf(KUBELET_HEADING);
	return start < 0 ? '' : page.slice(start);
}

/** @returns docs/clients.md with the kubelet's table at its end */
export function withKubelet(page: string, results: Result[]): string {
	const rest = page.slice(0, page.length - kubeletIn(page).length);
	return `${rest}${KUBELET_HEADING}
What \`npm run test:kubelet\` saw in its last run: a kubelet ${results[0]?.version} with its API server, Pods with imagePullSecrets. "Printed" is the Pod's event.

| | Case | | Printed |
| --- | --- | --- | --- |
${results.map((result) => `| ${result.client} ${row(result)}`).join('\n')}
`;
}

/** In the order in which the clients were run. */
function byClient(results: Result[]): [client: string, results: Result[]][] {
	return [...Map.groupBy(results, ({ client }) => client)];
}

function summary(client: string, results: Result[]): string {
	const toExplain = results.filter(({ isSaid }) => isSaid !== undefined);
	const passed = results.filter((result) => result.passed).length;
	return `| ${client} | ${results[0]!.version} | ${passed} | ${results.length - passed} | ${toExplain.length === 0 ? '' : `${toExplain.filter(({ isSaid }) => isSaid).length} of ${toExplain.length}`} |`;
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
