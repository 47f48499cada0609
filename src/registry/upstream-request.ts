import type { IncomingHttpHeaders } from 'node:http';
import type { Manifest } from './manifest.ts';

/** What a request to the upstream registry asks for, in the client's words and in the upstream registry's. */
export interface UpstreamRequest {
	kind: string;
	/** The friendly name; undefined for the ping. */
	name: string | undefined;
	/** The tag or digest, for messages. */
	item: string;
	/** Path at the upstream registry, made from validated parts only. */
	path: string;
	/** Opaque, without a question mark. */
	query?: string;
	/** The token that the upstream registry is shown. */
	token: string;
	/** Whether a redirect may be followed instead of passed on. */
	mayFollow?: boolean;
	/** Called with a manifest that is served from memory or kept in it. */
	onManifest?: (manifest: Manifest) => void;
	/** Answers in the place of a 404, where it may be elsewhere. */
	onAbsent?: () => Promise<void>;
	/** Called with what the registry answered to the token, before it is sent on. */
	onAnswer?: (status: number, headers: IncomingHttpHeaders) => void;
}
