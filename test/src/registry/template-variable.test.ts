import { describe } from 'node:test';
import { templateVariableIn } from '../../../src/registry/template-variable.ts';
import { table } from '../../support/table.ts';

describe('templateVariableIn: what was left in a name', () => {
	const found = (variable: string): string =>
		`replace the template variable ${variable} in the name by its value, such as aarch64 for an architecture`;
	table<string>(
		[
			['/v2/acme/display-%%BALENA_ARCH%%/manifests/latest', found('%%BALENA_ARCH%%')],
			['acme/display-%%RESIN_MACHINE_NAME%%', found('%%RESIN_MACHINE_NAME%%')],
			['acme/display-<arch>', found('<arch>')],
			['acme/display-<your arch>', found('<your arch>')],
			['/v2/acme/display-%3Carch%3E/manifests/latest', found('<arch>')],
			['acme/display-${ARCH}', found('${ARCH}')],
			['acme/display-{{ .Arch }}', found('{{ .Arch }}')],
			['acme/display-%7Barch%7D', found('{arch}')],
			...['acme/display', 'acme/display-%%', '%', '<', '<>', '', '/v2/acme%2Fdisplay/manifests/latest', 'a%%b'].map(
				(text) => [text, undefined] as const,
			),
		],
		templateVariableIn,
	);
});
