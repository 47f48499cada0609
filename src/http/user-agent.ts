import packageJson from '../../package.json' with { type: 'json' };

const HOME = 'https://github.com/balena-io/open-balena-registry-proxy';

const { name, version } = packageJson;

/**
 * What the API is told of who asks: RFC 9110 section 10.1.5.
 *
 * @param publicUrl where this installation is, if that is configured
 */
export function userAgent(publicUrl: string | undefined): string {
	return `${name}/${version} (+${publicUrl ?? HOME})`;
}
