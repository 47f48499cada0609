/** `http://host/path`: RFC 9112 section 3.2.2. */
const ABSOLUTE = /^https?:\/\/([^/?#]+)/i;

/**
 * Reads a request's target in any form that a server has to serve.
 *
 * @param target as it was sent
 * @returns path and query; and the host that the target names, which counts instead of the header of that name (RFC 9112 section
 * 3.2.2). A path that cannot be decoded, or that is none, comes back as one that can be, so that it is limited, logged and
 * answered as any other that means nothing.
 */
export function readTarget(target: string): { path: string; host: string | undefined } {
	const [start = '', host] = ABSOLUTE.exec(target) ?? [];
	const rest = target.slice(start.length);
	return { path: decodable(rest.startsWith('/') ? rest : `/${rest}`), host };
}

/** @returns the query of a path */
export function queryOf(path: string): URLSearchParams {
	const at = path.indexOf('?');
	return new URLSearchParams(at < 0 ? '' : path.slice(at + 1));
}

function decodable(target: string): string {
	if (!target.includes('%')) {
		return target;
	}
	const end = target.search(/[?#]|$/);
	const path = target.slice(0, end);
	try {
		decodeURIComponent(path);
		return target;
	} catch {
		return `${path.replaceAll('%', '%25')}${target.slice(end)}`;
	}
}
