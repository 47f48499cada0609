import { rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { load, type Request } from './load.ts';
import { needPrograms, readableDirectory, stopAll } from './processes.ts';
import { pull } from './pulls.ts';
import { startRealRegistry } from './real-registry.ts';
import { report, type Aim, type Measured, type Measurement } from './report.ts';
import { start } from './starts.ts';
import { pairedRatio } from './statistics.ts';
import { stream } from './streams.ts';
import {
	EXPRESS,
	FORWARDING,
	NGINX,
	SERVICE,
	spawnExpress,
	startBareNode,
	spawnService,
	startExpress,
	startForwardingService,
	startNginxProxy,
	startService,
	startBoundsPair,
	STATIC,
	staticTarget,
	tokenPath,
	UNBOUNDED,
	type Target,
} from './targets.ts';
import { BIG_BLOB_BYTES, MIDDLE_BLOB_BYTES, startUpstream } from './upstream.ts';

/*
 * `npm run bench [-- --quick] [-- --only <part of a name>]`: this service, nginx and an Express proxy in front of the same static
 * upstream, in one run, in turns. Prints the table, and writes it to docs/performance.md where everything was measured.
 */

const quick = process.argv.includes('--quick');
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined;
const ROUNDS = quick ? 3 : 5;
const SECONDS = quick ? 1 : 2;
/** The round that does not count lasts until V8 has compiled what is hot, whatever the machine. */
const WARM_UP_REQUESTS = quick ? 10_000 : 40_000;
const MAX_WARM_UP_SECONDS = 20;
const ACCEPT =
	'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json';

const BOUNDS_FROM_MEMORY = 'what counts and shares cost: manifest from memory';
const BOUNDS_FORWARDED = 'what counts and shares cost: manifest forwarded';

needPrograms(['wrk', 'nginx', 'skopeo', 'curl', 'docker-registry']);

const directory = readableDirectory();
const measurements: Measurement[] = [];
try {
	await measureAll();
} finally {
	await stopAll();
	rmSync(directory, { recursive: true, force: true });
}

async function measureAll(): Promise<void> {
	const upstream = await startUpstream(join(directory, 'upstream'));
	const { content } = upstream;
	const service = await startService(upstream);
	const forwarding = await startForwardingService(upstream);
	const nginx = await startNginxProxy(upstream, join(directory, 'nginx'));
	const express = await startExpress(upstream);
	const fromMemory = [service, nginx, express];
	const forwarded = [forwarding, nginx, express];

	const authorized = ({ token }: Target): Record<string, string> => ({ authorization: `Bearer ${token}`, accept: ACCEPT });
	const manifest =
		(method: 'GET' | 'HEAD') =>
		(target: Target): Request => ({ method, path: `/v2/${target.image}/manifests/latest`, headers: authorized(target), status: 200 });
	const manifests =
		(method: 'GET' | 'HEAD') =>
		(target: Target): Request => ({
			...manifest(method)(target),
			inTurn: content.manifests.map((digest) => ({ path: `/v2/${target.image}/manifests/${digest}` })),
		});
	const redirected = (target: Target): Request => ({
		method: 'GET',
		path: `/v2/${target.image}/blobs/${content.redirectedBlob}`,
		headers: authorized(target),
		status: 307,
	});
	const token = (target: Target): Request => ({ method: 'GET', path: tokenPath(target.image), headers: {}, status: 200 });
	const tokenOf = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`;
	const tokens = (target: Target): Request => ({
		...token(target),
		inTurn: content.manifests.map((_, i) => ({ path: tokenPath(target.image), authorization: tokenOf(`u:benchmarkKey${i}`) })),
	});

	await measureLoad('manifest GET, from memory', [...fromMemory, await startBareNode(upstream, true)], manifest('GET'));
	await measureLoad('manifest GET, forwarded', [...forwarded, await startBareNode(upstream, false)], manifests('GET'));
	await measureLoad('manifest HEAD, from memory', fromMemory, manifest('HEAD'));
	await measureLoad('manifest HEAD, forwarded', forwarded, manifests('HEAD'));
	await measureLoad('blob answered by a 307, from memory', fromMemory, redirected);
	await measureLoad('blob answered by a 307, forwarded', forwarded, redirected);
	await measureLoad('anonymous token, from memory', [service, staticTarget(upstream), express], token);
	await measureLoad('token with credentials', [service, nginx, express], tokens);
	await measureLoad(BOUNDS_FROM_MEMORY, await startBoundsPair(upstream, false), manifest('GET'));
	await measureLoad(BOUNDS_FORWARDED, await startBoundsPair(upstream, true), manifests('GET'));
	const real = await startRealRegistry(join(directory, 'nginx-of-real'));
	await measureLoad('small blob, forwarded, of a real docker-registry', real.targets, real.config);
	await real.close();
	await measureStream('blob, 1 x 1 GB', [service, nginx, express], content.bigBlob, BIG_BLOB_BYTES, 1);
	await measureStream('blobs, 8 x 100 MB', [service, nginx, express], content.middleBlob, MIDDLE_BLOB_BYTES, 8);
	await measure('whole pull with skopeo, warm', 'ms', false, fromMemory, async (target) => ({ value: await pull(target) }));
	await measure(
		'start to the first pong',
		'ms',
		false,
		[SERVICE, EXPRESS].map((name) => ({ name })),
		async ({ name }) => {
			const { milliseconds, idle } = await start(
				(port) => (name === SERVICE ? spawnService(upstream, port) : spawnExpress(upstream, port)),
				true,
			);
			return { value: milliseconds, more: { 'idle RSS, MB': idle } };
		},
	);

	const text = report(measurements, aims(), { cores: cpus().length, rounds: ROUNDS, seconds: SECONDS, node: process.version });
	console.log(text);
	if (!quick && only === undefined) {
		writeFileSync('docs/performance.md', text);
	}
}

async function measureLoad(name: string, targets: Target[], request: (target: Target) => Request): Promise<void> {
	await measure(name, 'requests/s', true, targets, async (target, isWarmUp) => {
		const asked = request(target);
		const { rate, cpu, p99, ...burst } = await load(target, asked, SECONDS);
		let { requests } = burst;
		for (let seconds = SECONDS; isWarmUp && requests < WARM_UP_REQUESTS && seconds < MAX_WARM_UP_SECONDS; seconds += SECONDS) {
			requests += (await load(target, asked, SECONDS)).requests;
		}
		return { value: rate, more: { 'CPU, µs': cpu, ...(p99 === undefined ? {} : { 'p99, ms': p99 }) } };
	});
}

async function measureStream(name: string, targets: Target[], digest: string, bytes: number, atOnce: number): Promise<void> {
	await measure(name, 'MB/s', true, targets, async (target) => {
		const { rate, cpuPerGb, peak } = await stream(target, digest, bytes, atOnce);
		return { value: rate, more: { 'CPU s/GB': cpuPerGb, 'peak RSS, MB': peak } };
	});
}

/** Measures all targets in turns, after a round that does not count. */
async function measure<T extends { name: string }>(
	name: string,
	unit: string,
	isMoreBetter: boolean,
	targets: T[],
	once: (target: T, isWarmUp: boolean) => Promise<{ value: number; more?: Record<string, number> }>,
): Promise<void> {
	if (only !== undefined && !name.includes(only)) {
		return;
	}
	console.error(`measuring ${name}`);
	const measured: Measured[] = targets.map((target) => ({ target: target.name, values: [], more: {} }));
	for (let round = -1; round < ROUNDS; round++) {
		for (const [i, target] of targets.entries()) {
			const { value, more = {} } = await once(target, round < 0);
			if (round >= 0) {
				measured[i]!.values.push(value);
				for (const [key, extra] of Object.entries(more)) {
					(measured[i]!.more[key] ??= []).push(extra);
				}
			}
		}
	}
	measurements.push({ name, unit, isMoreBetter, measured });
}

/** What is aimed at, as ratios in this run. */
function aims(): Aim[] {
	const values = (name: string, target: string): number[] =>
		measurements.find((measurement) => measurement.name === name)?.measured.find((one) => one.target === target)?.values ?? [];
	const extra = (name: string, target: string, key: string): number[] =>
		measurements.find((measurement) => measurement.name === name)?.measured.find((one) => one.target === target)?.more[key] ?? [];
	const ratio = (name: string, a: string, b: string): number => pairedRatio(values(name, a), values(name, b));
	const absolute = (figures: number[]): number =>
		pairedRatio(
			figures,
			figures.map(() => 1),
		);
	return [
		{ what: 'manifest from memory, of nginx', reached: ratio('manifest GET, from memory', SERVICE, NGINX), atLeast: 1 },
		{ what: 'HEAD from memory, of nginx', reached: ratio('manifest HEAD, from memory', SERVICE, NGINX), atLeast: 1 },
		{ what: 'redirect from memory, of nginx', reached: ratio('blob answered by a 307, from memory', SERVICE, NGINX), atLeast: 0.85 },
		{
			what: 'anonymous token, of nginx with a static file',
			reached: ratio('anonymous token, from memory', SERVICE, STATIC),
			atLeast: 0.75,
		},
		{ what: 'forwarded manifest, of nginx', reached: ratio('manifest GET, forwarded', FORWARDING, NGINX), atLeast: 0.55 },
		{ what: 'forwarded manifest, of Express', reached: ratio('manifest GET, forwarded', FORWARDING, EXPRESS), atLeast: 1.8 },
		{
			what: 'p99 of forwarded manifests, of Express',
			reached: pairedRatio(extra('manifest GET, forwarded', FORWARDING, 'p99, ms'), extra('manifest GET, forwarded', EXPRESS, 'p99, ms')),
			atMost: 1,
		},
		{ what: 'token with credentials, of nginx', reached: ratio('token with credentials', SERVICE, NGINX), atLeast: 0.35 },
		{ what: 'streamed blob of 1 GB, of nginx', reached: ratio('blob, 1 x 1 GB', SERVICE, NGINX), atLeast: 1 },
		{ what: 'streamed blobs of 100 MB, of nginx', reached: ratio('blobs, 8 x 100 MB', SERVICE, NGINX), atLeast: 1 },
		{ what: 'peak RSS while streaming, MB', reached: absolute(extra('blobs, 8 x 100 MB', SERVICE, 'peak RSS, MB')), atMost: 180 },
		{
			what: 'whole warm pull with skopeo, of nginx',
			reached: ratio('whole pull with skopeo, warm', SERVICE, NGINX),
			atMost: 1.05,
		},
		{ what: 'start to the first pong, ms', reached: absolute(values('start to the first pong', SERVICE)), atMost: 200 },
		{ what: 'idle RSS, MB', reached: absolute(extra('start to the first pong', SERVICE, 'idle RSS, MB')), atMost: 90 },
		{
			what: 'processor time of a manifest from memory, of the same without counts and shares',
			reached: pairedRatio(extra(BOUNDS_FROM_MEMORY, SERVICE, 'CPU, µs'), extra(BOUNDS_FROM_MEMORY, UNBOUNDED, 'CPU, µs')),
			atMost: 1.1,
		},
		{
			what: 'processor time of a forwarded manifest, likewise',
			reached: pairedRatio(extra(BOUNDS_FORWARDED, FORWARDING, 'CPU, µs'), extra(BOUNDS_FORWARDED, UNBOUNDED, 'CPU, µs')),
			atMost: 1.1,
		},
	].filter(({ reached }) => !Number.isNaN(reached));
}
