import type { RequestHandler } from 'express';
import { authenticate, type KeyHolder, type KeyRing } from './keys.ts';
import type { OData } from './odata.ts';
import type { Access, TokenSigner } from './tokens.ts';

const TARGET_WORDS = ['latest', 'current', 'default', 'pinned'];

/** `GET /auth/v1/token` of the balena API, with its oddities; nothing is cached. */
export function tokenEndpoint(odata: OData, keys: KeyRing, signer: TokenSigner): RequestHandler {
	const handle: (...parameters: Parameters<RequestHandler>) => Promise<void> = async (req, res) => {
		const who = authenticate(keys, req.headers.authorization);
		if (who.kind === 'invalid') {
			res.status(401).end();
			return;
		}
		const holder = who.kind === 'known' ? who.holder : undefined;
		// Beyond 20 of them, Express's query parser makes an object of a repeated parameter.
		const { scope = [] } = req.query;
		const scopes = typeof scope === 'string' ? [scope] : Object.values(scope).map(String);
		const access: Access[] = [];
		for (const text of scopes) {
			const parsed = parseScope(text);
			if (parsed !== undefined) {
				access.push(await grant(odata, parsed.name, parsed.actions, holder));
			}
		}
		res.json({ token: await signer.sign(access, { subject: holder?.subject }) });
	};
	return (req, res, next) => void handle(req, res, next).catch(next);
}

const PLAIN = /^[a-z0-9_-]+$/;
const VERSION = /^[a-z0-9_.-]+$/;

/**
 * @returns undefined for what the API drops without a word: other types and actions, upper case, `+`, and names of other than two to four parts. A tag
 * or a digest after the name is let through and forgotten.
 */
function parseScope(text: string): { name: string; actions: string[] } | undefined {
	const [type, named = '', ...rest] = text.split(':');
	const actions = rest.pop()?.split(',') ?? [];
	const name = named.replace(/@sha256$/, '');
	const [org = '', fleet = '', version, service, ...more] = name.split('/');
	const isName =
		PLAIN.test(org) &&
		PLAIN.test(fleet) &&
		(version === undefined || VERSION.test(version)) &&
		(service === undefined || PLAIN.test(service)) &&
		more.length === 0;
	const isTagOrNothing = rest.length === 0 || (rest.length === 1 && /^[a-z0-9]+$/.test(rest[0]!));
	const areActions = actions.length > 0 && actions.every((action) => ['pull', 'push', ''].includes(action));
	return type === 'repository' && isName && isTagOrNothing && areActions ? { name, actions } : undefined;
}

async function grant(odata: OData, name: string, requested: string[], holder: KeyHolder | undefined): Promise<Access> {
	const type = 'repository';
	const pull = requested.filter((action) => action === 'pull');
	const [org, fleet, version, service] = name.split('/');
	if (org === 'v2') {
		return { name, type, actions: (await isReadable(odata, `v2/${fleet}`, holder)) ? pull : [] };
	}
	if (service !== undefined) {
		return { name, type, actions: [] };
	}
	const wanted = version !== undefined && TARGET_WORDS.includes(version) ? undefined : version;
	const repository = await resolve(odata, `${org}/${fleet}`, wanted, holder);
	if (repository !== undefined) {
		return { name: repository, type, actions: pull, alias: name };
	}
	// Without a version, the name passes for an image of an older kind, which everybody may pull and which is not there.
	return { name, type, actions: wanted === undefined ? pull : [] };
}

async function isReadable(odata: OData, repository: string, holder: KeyHolder | undefined): Promise<boolean> {
	const images = await odata.get(
		'image',
		{ $select: 'id', $filter: { is_stored_at__image_location: { $endswith: `/${repository}` } } },
		holder,
	);
	return images.length > 0;
}

interface ReleaseRow {
	commit: string;
	semver: string;
	raw_version: string;
	is_final: boolean;
	should_be_running_on__application: unknown[];
	release_image: { image: { is_stored_at__image_location: string; status: string }[] }[];
}

/** @returns the repository of the one image of the release that is meant; undefined where none is, or where it has several services. */
async function resolve(odata: OData, slug: string, wanted: string | undefined, holder: KeyHolder | undefined): Promise<string | undefined> {
	const releases = await odata.get<ReleaseRow>(
		'release',
		{
			$select: ['commit', 'semver', 'raw_version', 'is_final'],
			$expand: {
				should_be_running_on__application: { $select: 'id' },
				release_image: { $select: 'id', $expand: { image: { $select: ['is_stored_at__image_location', 'status'] } } },
			},
			$filter: { status: 'success', belongs_to__application: { $any: { $alias: 'a', $expr: { a: { slug } } } } },
			$orderby: [{ revision: 'desc' }, { id: 'asc' }],
		},
		holder,
	);
	const match = releases.find((release) => {
		if (release.release_image.length !== 1) {
			return false;
		}
		return wanted === undefined
			? release.should_be_running_on__application.length > 0
			: release.commit === wanted || (release.is_final ? release.semver === wanted : release.raw_version === wanted);
	});
	return match?.release_image[0]?.image[0]?.is_stored_at__image_location.replace(/^[^/]*\//, '');
}
