import { readFileSync } from 'node:fs';

const HOME = 'https://github.com/balena-io/open-balena-registry-proxy';

const { name, version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
	name: string;
	version: string;
};

/**
 * What the API is told of who asks: RFC 9110 section 10.1.5.
 *
 * @param publicUrl where this installation is, if that is configured
 */
export function userAgent(publicUrl: string | undefined): string {
	return `${name}/${version} (+${publicUrl ?? HOME})`;
}
