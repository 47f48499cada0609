import { ConfigError } from '../config.ts';

/**
 * Starts to listen, on IPv6 and IPv4 where the host is `::`; where the machine has no IPv6, on IPv4 alone.
 *
 * @param listen resolves once it listens on the host it is given
 * @throws ConfigError with one line that names the host and the port
 */
export async function listenOn(host: string, port: number, listen: (host: string) => Promise<unknown>): Promise<void> {
	try {
		await listen(host);
	} catch (error) {
		const { code, message } = error as NodeJS.ErrnoException;
		if (host === '::' && code === 'EAFNOSUPPORT') {
			return listenOn('0.0.0.0', port, listen);
		}
		throw new ConfigError(`cannot listen on ${host} port ${port}: ${message}`);
	}
}
