/** One of balena's CPU architectures, as the end of a fleet's name says it and as an OCI platform. */
export interface Architecture {
	/** balena's own name for it: https://docs.balena.io/reference/hardware/devices/ */
	name: string;
	/** OCI image-spec, "image index": what `platform` says of an image that runs there. */
	platform: { os: 'linux'; architecture: string; variant?: string };
	/** What people write instead: the platform's own words, the kernel's and Docker's older ones. */
	aliases: readonly string[];
}

/** In the order in which they are listed, everywhere and for ever: an index that is made of them has to be the same bytes at any time. */
export const ARCHITECTURES: readonly Architecture[] = [
	{ name: 'amd64', platform: { os: 'linux', architecture: 'amd64' }, aliases: ['x86_64', 'x86-64', 'x64'] },
	{ name: 'aarch64', platform: { os: 'linux', architecture: 'arm64', variant: 'v8' }, aliases: ['arm64', 'arm64v8', 'armv8'] },
	{
		name: 'armv7hf',
		platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
		aliases: ['armv7', 'armv7l', 'armv7hl', 'armhf', 'arm32', 'arm32v7', 'arm'],
	},
	{
		name: 'rpi',
		platform: { os: 'linux', architecture: 'arm', variant: 'v6' },
		aliases: ['armv6', 'armv6l', 'armv6hf', 'arm32v6', 'armel'],
	},
	{ name: 'i386', platform: { os: 'linux', architecture: '386' }, aliases: ['386', 'i486', 'i586', 'i686', 'x86'] },
];

const BY_WORD = new Map(
	ARCHITECTURES.flatMap((architecture) => [architecture.name, ...architecture.aliases].map((word) => [word, architecture])),
);

/** @returns the architecture that a word in lower case means, by balena's name or another; undefined for any other word */
export function architectureOf(word: string): Architecture | undefined {
	return BY_WORD.get(word);
}

const ENDING = new RegExp(`^(.+)[-_](${[...BY_WORD.keys()].join('|')})$`);

/**
 * Takes the architecture off the end of a fleet's name.
 *
 * @param fleet the part after the organisation's
 * @returns the name of the block and the architecture, undefined where the name ends with none
 */
export function splitArchitecture(fleet: string): { block: string; architecture: Architecture | undefined } {
	const match = ENDING.exec(fleet);
	return match === null ? { block: fleet, architecture: undefined } : { block: match[1]!, architecture: architectureOf(match[2]!) };
}

/** @returns the slugs `<org>/<block>-<architecture>` of all architectures, in their order */
export function slugsOfBlock(block: string): string[] {
	return ARCHITECTURES.map(({ name }) => `${block}-${name}`);
}
