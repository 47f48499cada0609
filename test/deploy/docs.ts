import { readFileSync } from 'node:fs';

/** A row of a Markdown table, by the table's column names; inline code without its backticks. */
export type Row = Record<string, string>;

/**
 * Reads the first table below a heading of a page in docs/.
 *
 * @param page its file's name there
 * @throws where the heading is not there or has no table
 */
export function tableBelow(page: string, heading: string): Row[] {
	const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
	const table = new RegExp(`^#+ ${heading}\\n(?:(?![#|]).*\\n)*((?:\\|.*\\n)+)`, 'm').exec(text)?.[1];
	if (table === undefined) {
		throw new Error(`docs/${page} has no table below "${heading}"`);
	}
	const [head, , ...rows] = table.trim().split('\n').map(cells);
	return rows.map((row) => Object.fromEntries(head!.map((name, i) => [name, row[i] ?? ''])));
}

/** A `\|` is a bar within a cell. */
function cells(line: string): string[] {
	return line
		.split(/(?<!\\)\|/)
		.slice(1, -1)
		.map((cell) =>
			cell
				.trim()
				.replace(/^`([^`]*)`$/, '$1')
				.replaceAll('\\|', '|'),
		);
}
