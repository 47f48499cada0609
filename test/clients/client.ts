import { run, type Outcome } from '../support/run.ts';

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

/** What came of a pull. */
export interface Pulled extends Outcome {
	/** Where it has come: digests of the image as the client stored it (of its manifest, its configuration or its layers), in any text. */
	image?: string;
}

export interface Client {
	name: string;
	version: string;
	/** Pulls the whole image into an empty store: exit code 0 where it has come, and what a person would have read. */
	pull(pull: Pull): Promise<Pulled>;
	/** The client's own way to log in, where it has one. */
	login?(host: string, key: string, ca?: string): Promise<Outcome>;
	/** Can be told of mirrors. */
	hasMirrors?: boolean;
	/** Pulls one platform only where the machine is of it. */
	noPlatform?: boolean;
	/** Is told here of a platform by its system and architecture, not by a variant. */
	noVariant?: boolean;
	/** Takes no index. */
	noIndex?: boolean;
	/** Asks for manifests only. */
	noBlobs?: boolean;
	/** The cases that can be tried with it, by their names, where they are few. */
	tries?(name: string): boolean;
	/** Speaks to no registry by plain HTTP: where the others do, it is sent to the service's own TLS. */
	onlyTls?: boolean;
	/** Asks for the rest of a layer that broke off. */
	resumes?: boolean;
	/** Cases in which it prints neither the body nor the reason of an answer, whatever they are. */
	hides?: string[];
	stop?(): Promise<void>;
}

/** Adds, to a pull that succeeded, what the client stored. */
export async function withImage(outcome: Outcome, read: () => Promise<string>): Promise<Pulled> {
	return outcome.code === 0 ? { ...outcome, image: await read() } : outcome;
}

/** @returns what a command says of its version: its number, or whatever stands there */
export async function versionOf(command: string, ...args: string[]): Promise<string> {
	const { printed } = await run(command, args);
	return /v?\d+\.\d+\.\d+[^\s,]*/.exec(printed)?.[0] ?? /version (\S+)/.exec(printed)?.[1] ?? printed.trim();
}

/** A client that cannot be started here, with the reason. */
export class NotRun extends Error {}
