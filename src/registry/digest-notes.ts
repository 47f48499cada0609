import type { LRUCache } from 'lru-cache';
import { lruCache } from '../lru.ts';

interface Note {
	caller: string;
	slug: string;
	repository: string;
	/** The manifest with which it was noted, and all that this refers to; undefined where only a digest was known. */
	manifest: string | undefined;
	/** Milliseconds since the epoch. */
	until: number;
}

/** Most notes of one digest, which many fleets may have: the newest stay. */
const MAX_OF_ONE_DIGEST = 8;

/**
 * From which repository of a fleet a digest was served, to whom. For each caller their own: that there is a note would tell
 * others that a fleet which they may not see has a digest.
 */
export class DigestNotes {
	readonly #notes: LRUCache<string, Note[]>;
	readonly #lifeMs: number;
	readonly #now: () => number;

	/** @param max most digests @param lifeMs how long a note counts @param now milliseconds; tests give their own */
	constructor({ max, lifeMs, now = Date.now }: { max: number; lifeMs: number; now?: () => number }) {
		this.#notes = lruCache(max);
		this.#lifeMs = lifeMs;
		this.#now = now;
	}

	/** @returns whether anybody has a note of a digest in a fleet: cheap, to spare finding out who asks */
	has(slug: string, digest: string): boolean {
		return this.#notes.get(digest)?.some((note) => note.slug === slug && note.until > this.#now()) ?? false;
	}

	/** @param caller a fingerprint @returns the repository in a caller's own note; undefined where there is none, or not any more */
	find(slug: string, digest: string, caller: string): string | undefined {
		return this.#of(slug, digest, caller)?.repository;
	}

	/**
	 * @param digest the manifest's own. Where its note is fresh, and was made with the others, they are fresh too, and nothing is
	 * done, because this is called each time that the manifest is served.
	 * @param others what it refers to, as far as that is known; its own digest may be among them
	 */
	add(slug: string, repository: string, digest: string, others: () => readonly string[], caller: string): void {
		const known = this.#of(slug, digest, caller);
		if (known?.repository === repository && known.manifest === digest && known.until - this.#now() > this.#lifeMs / 2) {
			return;
		}
		const all = new Set([digest, ...others()]);
		const note: Note = { caller, slug, repository, manifest: all.size > 1 ? digest : undefined, until: this.#now() + this.#lifeMs };
		for (const each of all) {
			const rest = (this.#notes.get(each) ?? []).filter((old) => old.until > this.#now() && (old.caller !== caller || old.slug !== slug));
			this.#notes.set(each, [note, ...rest].slice(0, MAX_OF_ONE_DIGEST));
		}
	}

	#of(slug: string, digest: string, caller: string): Note | undefined {
		const notes = this.#notes.get(digest);
		return notes?.find((note) => note.caller === caller && note.slug === slug && note.until > this.#now());
	}
}
