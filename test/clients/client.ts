import type { Outcome } from '../e2e/run.ts';

/** One pull, in the words of no client in particular. */
export interface Pull {
	/** Host and port of the registry. */
	host: string;
	reference: string;
	/** API key; the user name is any. */
	key?: string;
	platform?: string;
	/** The registry that `host` is a mirror of, as containerd's hosts.toml has it: what the image is named after. */
	mirrored?: string;
	/** PEM file of a private CA; without it the registry speaks plain HTTP. */
	ca?: string;
}

export interface Client {
	name: string;
	version: string;
	/** Pulls the whole image: exit code 0 where it has come, and what a person would have read. */
	pull(pull: Pull): Promise<Outcome>;
	/** The client's own way to log in, where it has one. */
	login?(host: string, key: string, ca?: string): Promise<Outcome>;
	/** Can be told of mirrors. */
	hasMirrors?: boolean;
	/** Pulls one platform only where the machine is of it. */
	noPlatform?: boolean;
	/** Follows no redirect to a private address, and there are no others here. */
	noPrivateRedirect?: boolean;
	stop?(): Promise<void>;
}

/** A client that cannot be started here, with the reason. */
export class NotRun extends Error {}
