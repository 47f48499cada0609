import type { TestContext } from 'node:test';

/** @returns what Node warns of in this process while a test runs, such as an emitter with eleven listeners */
export function collectWarnings(t: TestContext): string[] {
	const warnings: string[] = [];
	const warn = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`);
	process.on('warning', warn);
	t.after(() => process.off('warning', warn));
	return warnings;
}
