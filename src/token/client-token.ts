import { STATUS_OF_CODE, type ErrorCode } from '../errors.ts';
import { isDigest } from '../registry/digest.ts';
import { isName, isRepository } from '../registry/name.ts';
import { parseReference } from '../balena/reference.ts';
import { ARCHITECTURES } from '../balena/architectures.ts';
import type { BlockImage } from '../balena/block.ts';
import { blockGrant, resolvedGrant, type FailureGrant, type Grant, type ImageGrant } from './grant.ts';

/** The token handed to clients: `<upstream token>~<base64url JSON>`. All of it are legal bearer characters (RFC 6750 section 2.1). */
export interface ClientToken {
	/** What the upstream registry is shown. Empty where a token grants nothing upstream. */
	upstream: string;
	grants: ReadonlyMap<string, Grant>;
	/** The caller's credentials, encrypted by this proxy, where a name in it can come to mean another release: docs/tags.md. */
	sealed: string | undefined;
}

/** Most names in one token. Clients ask for one or two (a cross-repository mount asks for two). */
export const MAX_GRANTS = 16;
/** Longest token that is looked at, in characters. Node refuses headers of more than 16 KiB in all. */
export const MAX_TOKEN_LENGTH = 15_000;

const MAX_MESSAGE_LENGTH = 500;
const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
const VERSION = /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}$/;

type ImageOrFailureEntry = [repository: string, version: string] | { code: ErrorCode; message: string };
type BlockImageEntry = [repository: string, version: string, digest?: string];
type GrantEntry = ImageOrFailureEntry | { fleet: ImageOrFailureEntry; digest?: string } | { block: Record<string, BlockImageEntry> };

/** @returns the text for the client. `parseToken` gives the same token back. */
export function formatToken(token: ClientToken): string {
	const names = Object.fromEntries([...token.grants].map(([name, grant]) => [name, toEntry(grant)]));
	const payload = token.sealed === undefined ? { n: names } : { n: names, s: token.sealed };
	return `${token.upstream}~${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
}

/**
 * Reads a bearer token. Nothing in it is signed by this proxy, and nothing needs to be: the upstream registry authorises the
 * repository itself. So every part is checked against its grammar before it can touch a URL or a header.
 *
 * @param text what followed `Bearer `
 * @returns undefined for anything that is no token this proxy or the balena API could have issued
 */
export function parseToken(text: string): ClientToken | undefined {
	if (text.length > MAX_TOKEN_LENGTH || !TOKEN68.test(text)) {
		return undefined;
	}
	const tilde = text.lastIndexOf('~');
	if (tilde < 0) {
		return { upstream: text, grants: aliasGrants(text), sealed: undefined };
	}
	const payload = parseJson(text.slice(tilde + 1));
	const names = payload?.['n'];
	const sealed = payload?.['s'];
	if (!isRecord(names) || !(sealed === undefined || (typeof sealed === 'string' && BASE64URL.test(sealed)))) {
		return undefined;
	}
	const grants = new Map<string, Grant>();
	for (const [name, entry] of Object.entries(names)) {
		const grant = fromEntry(name, entry);
		if (grant === undefined || !isName(name) || grants.size >= MAX_GRANTS) {
			return undefined;
		}
		grants.set(name, grant);
	}
	return { upstream: text.slice(0, tilde), grants, sealed };
}

/**
 * Reads the claims that matter here from a JWT, without verifying it: only the upstream registry can.
 *
 * @returns `expiresAt` in milliseconds since the epoch, undefined where the token says nothing legible
 */
export function readJwt(jwt: string): { expiresAt: number | undefined; access: unknown[] } {
	const claims = parseJson(jwt.split('.')[1] ?? '');
	const exp = claims?.['exp'];
	const access = claims?.['access'];
	return {
		expiresAt: typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined,
		access: Array.isArray(access) ? access : [],
	};
}

/** The names that the balena API resolved itself: `access` entries with an `alias`, the convention of the proxy before this one. */
function aliasGrants(jwt: string): Map<string, Grant> {
	const grants = new Map<string, Grant>();
	for (const entry of readJwt(jwt).access.slice(0, MAX_GRANTS)) {
		if (!isRecord(entry)) {
			continue;
		}
		const { type, name, alias } = entry;
		if (type === 'repository' && typeof name === 'string' && isRepository(name) && typeof alias === 'string' && isName(alias)) {
			const reference = parseReference(alias);
			const image: ImageGrant = { kind: 'image', repository: name, version: '' };
			grants.set(alias, reference.kind === 'fleet' ? resolvedGrant(reference, image) : image);
		}
	}
	return grants;
}

function toEntry(grant: Grant): GrantEntry {
	if (grant.kind === 'block') {
		return { block: Object.fromEntries(grant.images.map((image) => [image.architecture, toBlockImage(image)])) };
	}
	if (grant.kind !== 'fleet') {
		return toImageOrFailure(grant);
	}
	const fleet = toImageOrFailure(grant.current);
	return grant.digest === undefined ? { fleet } : { fleet, digest: grant.digest };
}

function toImageOrFailure(grant: ImageGrant | FailureGrant): ImageOrFailureEntry {
	return grant.kind === 'image'
		? [grant.repository, legible(grant.version)]
		: { code: grant.code, message: grant.message.slice(0, MAX_MESSAGE_LENGTH) };
}

function toBlockImage({ repository, version, digest }: BlockImage): BlockImageEntry {
	return digest === undefined ? [repository, legible(version)] : [repository, legible(version), digest];
}

/** The version is for logs and sentences alone; one that cannot be read back would make the whole token illegible. */
function legible(version: string): string {
	return VERSION.test(version) ? version : '';
}

function fromEntry(name: string, entry: unknown): Grant | undefined {
	if (!isRecord(entry) || (entry['fleet'] === undefined && entry['block'] === undefined)) {
		return imageOrFailure(entry);
	}
	const { fleet, block, digest } = entry;
	const reference = parseReference(name);
	if (reference.kind === 'fleet' && block !== undefined) {
		const images = blockImages(block);
		return images && blockGrant(reference, images);
	}
	const current = imageOrFailure(fleet);
	return current === undefined || reference.kind !== 'fleet' || !(digest === undefined || isDigestText(digest))
		? undefined
		: { kind: 'fleet', slug: reference.slug, isBare: reference.isBare, current, digest };
}

function blockImages(entry: unknown): BlockImage[] | undefined {
	if (!isRecord(entry)) {
		return undefined;
	}
	const images: BlockImage[] = [];
	for (const { name: architecture } of ARCHITECTURES) {
		if (Object.hasOwn(entry, architecture)) {
			const image = imageOrFailure(entry[architecture]);
			const digest: unknown = (entry[architecture] as unknown[])[2];
			if (image?.kind !== 'image' || !(digest === undefined || isDigestText(digest))) {
				return undefined;
			}
			images.push({ architecture, repository: image.repository, version: image.version, digest });
		}
	}
	return images.length > 0 && images.length === Object.keys(entry).length ? images : undefined;
}

function isDigestText(value: unknown): value is string {
	return typeof value === 'string' && isDigest(value);
}

function imageOrFailure(entry: unknown): ImageGrant | FailureGrant | undefined {
	if (Array.isArray(entry)) {
		const [repository, version] = entry as unknown[];
		return typeof repository === 'string' &&
			isRepository(repository) &&
			typeof version === 'string' &&
			(version === '' || VERSION.test(version))
			? { kind: 'image', repository, version }
			: undefined;
	}
	if (!isRecord(entry)) {
		return undefined;
	}
	const { code, message } = entry;
	return isCodeOfName(code) && typeof message === 'string' && message.length <= MAX_MESSAGE_LENGTH
		? { kind: 'failure', code, message }
		: undefined;
}

/** A name can only fail by the client's doing: a forged token must not have this proxy answer, or log, that something broke. */
function isCodeOfName(code: unknown): code is ErrorCode {
	return typeof code === 'string' && Object.hasOwn(STATUS_OF_CODE, code) && STATUS_OF_CODE[code as ErrorCode] < 500;
}

function parseJson(base64url: string): Record<string, unknown> | undefined {
	if (!BASE64URL.test(base64url)) {
		return undefined;
	}
	try {
		const value: unknown = JSON.parse(Buffer.from(base64url, 'base64url').toString());
		return isRecord(value) ? value : undefined;
	} catch {
		return undefined;
	}
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
