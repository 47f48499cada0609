import { describe } from 'node:test';
import { publicOrigin } from '../../../src/registry/origin.ts';
import { outcome, table } from '../table.ts';

describe('publicOrigin: what clients are told to come back to', () => {
	table<[fixed: string | undefined, protocol: string, host: string | undefined]>(
		[
			[[undefined, 'http', 'localhost'], 'http://localhost'],
			[[undefined, 'https', 'bh.cr'], 'https://bh.cr'],
			[[undefined, 'https', 'bh.cr:8443'], 'https://bh.cr:8443'],
			[[undefined, 'http', '127.0.0.1:80'], 'http://127.0.0.1:80'],
			[[undefined, 'http', '[::1]:5000'], 'http://[::1]:5000'],
			[[undefined, 'http', '[::ffff:127.0.0.1]'], 'http://[::ffff:127.0.0.1]'],
			[[undefined, 'http', 'registry_proxy.my-net'], 'http://registry_proxy.my-net'],
			// PUBLIC_URL wins, whatever the request says.
			[['https://bh.cr', 'http', 'elsewhere'], 'https://bh.cr'],
			[['https://bh.cr', 'http', undefined], 'https://bh.cr'],
			[['https://bh.cr', 'http', 'a b'], 'https://bh.cr'],
			[[undefined, 'http', undefined], '400 UNSUPPORTED'],
			[[undefined, 'http', ''], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr/path'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr?x'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr#x'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'user@bh.cr'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr:x'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr:123456'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr:'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'a"b'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'a,b'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'a\\b'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr\r\nx-evil: 1'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr\n'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bücher.example'], '400 UNSUPPORTED'],
			[[undefined, 'http', '.bh.cr'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'bh.cr.'], '400 UNSUPPORTED'],
			[[undefined, 'http', '-'], '400 UNSUPPORTED'],
			[[undefined, 'http', '::1'], '400 UNSUPPORTED'],
			[[undefined, 'http', '[::1'], '400 UNSUPPORTED'],
			[[undefined, 'http', '[fe80::1%25eth0]'], '400 UNSUPPORTED'],
			[[undefined, 'http', 'a'.repeat(254)], `http://${'a'.repeat(254)}`],
			[[undefined, 'http', 'a'.repeat(255)], '400 UNSUPPORTED'],
			[[undefined, 'ftp', 'bh.cr'], '400 UNSUPPORTED'],
			[[undefined, 'http ', 'bh.cr'], '400 UNSUPPORTED'],
			[[undefined, 'https, http', 'bh.cr'], '400 UNSUPPORTED'],
			[[undefined, '', 'bh.cr'], '400 UNSUPPORTED'],
		],
		([fixed, protocol, host]) => outcome(() => publicOrigin(fixed, protocol, host)),
	);
});
