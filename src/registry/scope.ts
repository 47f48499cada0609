import { isName } from './name.ts';

/** One resource a client wants a token for: distribution's "Token Scope Documentation". */
export interface Scope {
	type: string;
	name: string;
	actions: string[];
}

// resourcetype, with the optional class that Docker once sent: "repository(plugin)".
const TYPE = /^[a-z0-9]+(?:\([a-z0-9]+\))?$/;
const ACTION = /^[a-z*]+$/;

/**
 * Parses the `scope` parameters of a token request. Clients repeat the parameter, or put a space-separated list into one, or both.
 *
 * @param parameters the values as sent
 * @returns the well-formed scopes, in order, without duplicates. What is malformed is left out, as the token spec asks: insufficient
 * access is not an error of the token request.
 */
export function parseScopes(parameters: readonly string[]): Scope[] {
	const scopes = new Map<string, Scope>();
	for (const text of parameters.flatMap((parameter) => parameter.split(' '))) {
		const scope = parseScope(text);
		if (scope !== undefined && !scopes.has(formatScope(scope))) {
			scopes.set(formatScope(scope), scope);
		}
	}
	return [...scopes.values()];
}

function parseScope(text: string): Scope | undefined {
	const first = text.indexOf(':');
	const last = text.lastIndexOf(':');
	if (first < 0 || first === last) {
		return undefined;
	}
	const type = text.slice(0, first);
	const name = text.slice(first + 1, last);
	const actions = text.slice(last + 1).split(',');
	return TYPE.test(type) && isName(name) && actions.every((action) => ACTION.test(action)) ? { type, name, actions } : undefined;
}

/** @returns the scope as the token spec writes it: `type:name:action,action`. The inverse of `parseScopes` for one scope. */
export function formatScope(scope: Scope): string {
	return `${scope.type}:${scope.name}:${scope.actions.join(',')}`;
}

/** @returns the scope that lets its holder pull one repository. */
export function pullScope(name: string): string {
	return `repository:${name}:pull`;
}

/** @returns whether a scope asks to pull from a repository, be it among other actions, which this proxy never grants. */
export function asksToPull(scope: Scope): boolean {
	return scope.type === 'repository' && (scope.actions.includes('pull') || scope.actions.includes('*'));
}
