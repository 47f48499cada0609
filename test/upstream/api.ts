import type { Server } from 'node:http';
import express from 'express';
import { startDatabase } from './database.ts';
import { authenticate, createKeyRing, type KeyHolder, type KeyRing } from './keys.ts';
import { mountOData, type OData } from './odata.ts';
import type { FollowedRequest } from './object-storage.ts';
import { setPublic, setTarget } from './seed.ts';
import { tokenEndpoint } from './token.ts';
import type { Access, SignOptions, TokenSigner } from './tokens.ts';

/** What tests may do to, or want to know of, the registry. */
export interface RegistryControl {
	/** The tokens get another key, and only that is trusted from then on. docker-registry knows only its first. */
	rotateKeys(): Promise<void>;
	/** What came to the object storage by signed URLs. */
	followed(): readonly FollowedRequest[];
}

/**
 * Puts the stand-in for the balena API behind a server: OData, tokens, `whoami`, and what tests may change while it runs.
 *
 * @param server listens already, because the registry has to know the API's URL when it starts
 */
export async function startApi(
	server: Server,
	signer: TokenSigner,
	registry: RegistryControl,
): Promise<{ odata: OData; close(): Promise<void> }> {
	const keys = createKeyRing();
	const app = express();
	const database = await startDatabase();

	app.use((req, res, next) => {
		// The real API believes that it stands behind its own load balancer.
		if (req.headers['x-forwarded-for'] !== undefined && req.headers['x-forwarded-proto'] !== 'https') {
			res.redirect(301, `https://${req.headers.host ?? ''}${req.originalUrl}`);
		} else {
			next();
		}
	});
	// PineJS reads `req.body`, also of a GET.
	app.use(express.json());
	app.get('/ping', (_req, res) => void res.send('OK'));
	const odata = await mountOData(app, database, keys);
	app.get('/auth/v1/token', tokenEndpoint(odata, keys, signer));
	app.get('/actor/v1/whoami', (req, res) => {
		const who = authenticate(keys, req.headers.authorization);
		if (who.kind === 'known') {
			res.json({ id: 1, actorType: who.holder.kind === 'device' ? 'device' : 'user', username: who.holder.subject });
		} else {
			res.status(401).end();
		}
	});
	mountControl(app, odata, keys, signer, registry);
	// Of other versions and methods, the real API says nothing at all.
	app.use((_req, res) => void res.status(404).end());
	server.on('request', app);
	return { odata, close: () => database.close() };
}

/** What `control.ts` calls. The real API has nothing of the kind. */
function mountControl(app: express.Express, { sql }: OData, keys: KeyRing, signer: TokenSigner, registry: RegistryControl): void {
	app.post('/test/fleet', (req, res, next) => {
		const { slug, isPublic, target } = req.body as { slug: string; isPublic?: boolean; target?: string };
		const change = async (): Promise<void> => {
			if (isPublic !== undefined) {
				await setPublic(sql, slug, isPublic);
			}
			if (target !== undefined) {
				await setTarget(sql, slug, target);
			}
		};
		change().then(() => res.json({}), next);
	});
	app.post('/test/key', (req, res) => {
		const holder = req.body as KeyHolder;
		keys.set(holder.key, holder);
		res.json({});
	});
	app.post('/test/rotate-keys', (_req, res, next) => void registry.rotateKeys().then(() => res.json({}), next));
	app.post('/test/followed', (_req, res) => void res.json(registry.followed()));
	app.post('/test/token', (req, res, next) => {
		const { access, ...options } = req.body as { access: Access[] } & SignOptions;
		signer.sign(access, options).then((token) => res.json({ token }), next);
	});
}
