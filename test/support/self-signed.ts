import { run } from './run.ts';

/**
 * Makes a new key, and a certificate of it that it has signed itself, with openssl.
 *
 * @param files where to write both, as PEM
 * @param altName such as `DNS:bh.cr` or `IP:127.0.0.1,DNS:localhost`
 */
export async function writeSelfSigned({ cert, key }: { cert: string; key: string }, altName: string): Promise<void> {
	const { code, printed } = await run('openssl', [
		'req',
		'-x509',
		...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
		...['-keyout', key, '-out', cert],
		...['-subj', `/CN=${altName.split(':').at(-1)}`],
		...['-addext', `subjectAltName=${altName}`],
	]);
	if (code !== 0) {
		throw new Error(`openssl failed: ${printed}`);
	}
}
