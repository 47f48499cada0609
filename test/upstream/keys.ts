import { hexOf } from './fleets.ts';

/** Somebody the stand-in's API knows by a secret. */
export interface KeyHolder {
	/** An API key; for `session`, what stands in for a session's JWT, which is good as a Bearer token only. */
	key: string;
	kind: 'user' | 'device' | 'session';
	/** `sub` of the tokens: a user's name, or `d_<uuid>`. */
	subject: string;
	/** Slugs of the private fleets that the holder can see. */
	fleets: string[];
}

const OWNED = ['acme/secret', 'acme/secret-several', 'acme/display-rpi', 'acme/veiled-amd64', 'acme/veiled-aarch64'];

/** The keys that are there from the start. API keys of the real API have 32 letters and digits. */
export const SAMPLE_KEYS = {
	owner: { key: 'sampleKeyOfOwner0000000000000001', kind: 'user', subject: 'owner', fleets: OWNED },
	stranger: { key: 'sampleKeyOfStranger0000000000002', kind: 'user', subject: 'stranger', fleets: [] },
	device: {
		key: 'sampleKeyOfDevice000000000000003',
		kind: 'device',
		subject: `d_${hexOf('a device of acme/secret')}`,
		fleets: ['acme/secret'],
	},
	session: {
		key: 'eyJhbGciOiJIUzI1NiJ9.eyJ1c2VybmFtZSI6Im93bmVyIn0.c2FtcGxlLXNlc3Npb24',
		kind: 'session',
		subject: 'owner',
		fleets: OWNED,
	},
} as const satisfies Record<string, Readonly<Omit<KeyHolder, 'fleets'>> & { fleets: readonly string[] }>;

export type Keys = Record<keyof typeof SAMPLE_KEYS, string>;

export type KeyRing = Map<string, KeyHolder>;

export function createKeyRing(): KeyRing {
	return new Map(Object.values(SAMPLE_KEYS).map((holder) => [holder.key, { ...holder, fleets: [...holder.fleets] }]));
}

/** RFC 7617, as the API's parser reads it. */
const BASIC = /^ *basic +([A-Za-z0-9._~+/-]+=*) *$/i;
const BEARER = /^bearer ([^ ]+)$/i;

export type Authentication = { kind: 'anonymous' } | { kind: 'known'; holder: KeyHolder } | { kind: 'invalid' };

/**
 * Who asks, as the token endpoint sees it. An account's password, a session as a Basic password and anything malformed are invalid; the
 * user name is not looked at.
 */
export function authenticate(keys: KeyRing, authorization: string | undefined): Authentication {
	if (authorization === undefined) {
		return { kind: 'anonymous' };
	}
	const basic = BASIC.exec(authorization);
	if (basic !== null) {
		const [, password = ''] = /^[^:]*:(.*)$/s.exec(Buffer.from(basic[1]!, 'base64').toString()) ?? [];
		const holder = keys.get(password);
		return holder === undefined || holder.kind === 'session' ? { kind: 'invalid' } : { kind: 'known', holder };
	}
	const holder = bearer(keys, authorization);
	return holder === undefined ? { kind: 'invalid' } : { kind: 'known', holder };
}

/** Who asks, as OData sees it: Bearer only, and a bad key is nobody in particular. */
export function bearer(keys: KeyRing, authorization: string | undefined): KeyHolder | undefined {
	const [, key = ''] = BEARER.exec(authorization ?? '') ?? [];
	return keys.get(key);
}
