import { hash } from 'node:crypto';
import { isDigest } from './digest.ts';
import { isAcceptable, MAX_READ_BYTES, type Manifest } from './manifest.ts';

/** For which machines an image is: OCI image-spec, "Image Index", property `platform`. */
export interface Platform {
	os: string;
	architecture: string;
	variant?: string;
}

/** A manifest that an index is made of, and the platform that it is for, unless it is an index itself, which knows better. */
export interface Child {
	platform: Platform;
	/** Its digest has been verified. */
	manifest: Manifest;
}

interface Entry {
	mediaType: string;
	digest: string;
	size: number;
	platform: Platform;
}

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
/** Of one child that is an index; real ones have a dozen at the most. */
const MAX_ENTRIES = 64;
const WORD = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

/** The forms of an index, the one that is preferred first. */
export const INDEX_TYPES = [OCI_INDEX, DOCKER_LIST] as const;

/** @returns the media type of the index for a client that sends this `Accept`; undefined where it takes neither form */
export function indexMediaType(accept: string | undefined): string | undefined {
	return INDEX_TYPES.find((mediaType) => isAcceptable(accept, mediaType));
}

/**
 * Makes an index. The same children in the same order give the same bytes, whoever asks and whenever: it has nothing else in it.
 *
 * @param mediaType as `indexMediaType` returned
 */
export function makeIndex(children: readonly Child[], mediaType: string): Manifest {
	const manifests: Entry[] = [];
	for (const entry of children.flatMap(entriesOf)) {
		if (!manifests.some(({ platform }) => isSamePlatform(platform, entry.platform))) {
			manifests.push(entry);
		}
	}
	const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
	return { bytes, mediaType, digest: `sha256:${hash('sha256', bytes, 'hex')}` };
}

/** An image is one entry; an index gives those of its own that are for a platform (not, for instance, attestations). */
function entriesOf({ platform, manifest: { bytes, mediaType, digest } }: Child): Entry[] {
	return mediaType === OCI_INDEX || mediaType === DOCKER_LIST ? ownEntries(bytes) : [{ mediaType, digest, size: bytes.length, platform }];
}

/** What was read already, by the bytes: an index of the same children is made for each request. */
const read = new WeakMap<Buffer, Entry[]>();

/** @returns the entries of an index; none where it is not legible, or larger than 128 KB. Read once for the same bytes. */
function ownEntries(bytes: Buffer): Entry[] {
	let entries = read.get(bytes);
	if (entries === undefined) {
		entries = bytes.length > MAX_READ_BYTES ? [] : readEntries(bytes);
		read.set(bytes, entries);
	}
	return entries;
}

function readEntries(bytes: Buffer): Entry[] {
	try {
		const { manifests } = JSON.parse(bytes.toString()) as { manifests?: unknown };
		return Array.isArray(manifests) ? manifests.slice(0, MAX_ENTRIES).flatMap((entry) => checkedEntry(entry) ?? []) : [];
	} catch {
		return [];
	}
}

/** What an index says is its maker's word: only what an entry has to have is taken over, and only if it is of the right form. */
function checkedEntry(entry: unknown): Entry | undefined {
	const { mediaType, digest, size, platform } = (entry ?? {}) as Record<string, unknown>;
	const { os, architecture, variant } = (platform ?? {}) as Record<string, unknown>;
	if (typeof mediaType !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(mediaType) || typeof digest !== 'string' || !isDigest(digest)) {
		return undefined;
	}
	if (!Number.isSafeInteger(size) || (size as number) < 0 || !isWord(os) || !isWord(architecture) || os === 'unknown') {
		return undefined;
	}
	return { mediaType, digest, size: size as number, platform: { os, architecture, ...(isWord(variant) ? { variant } : {}) } };
}

function isWord(value: unknown): value is string {
	return typeof value === 'string' && WORD.test(value);
}

function isSamePlatform(a: Platform, b: Platform): boolean {
	return a.os === b.os && a.architecture === b.architecture && a.variant === b.variant;
}
