import dgram from 'node:dgram';
import dns from 'node:dns';
import { appendFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

/*
 * A preload (`node --import`) after which this process reaches nothing but this machine. Any other address fails as if there were no network, and is written
 * down for the run to fail by, because the code under test may well take such a failure for one of its upstream's. Names other than localhost are unknown,
 * and no name server is asked for them.
 */

const LOOPBACK = new net.BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addSubnet('::1', 128, 'ipv6');
// The unspecified address means this machine where one connects to it.
LOOPBACK.addAddress('0.0.0.0');
LOOPBACK.addAddress('::', 'ipv6');

type Callback = (error: Error | null, ...results: any[]) => void;
type Lookup = (name: string, options: any, callback: Callback) => void;

const isAllowed = (address: string): boolean => LOOPBACK.check(address, net.isIPv6(address) ? 'ipv6' : 'ipv4');

function refusal(what: string): Error {
	const error = Object.assign(new Error(`a test may not reach ${what}`), { code: 'ENETUNREACH' });
	const record = process.env.TEST_REACHED_OUT;
	if (record !== undefined) {
		appendFileSync(record, `${process.argv.slice(1).join(' ')}: ${error.stack}\n`);
	}
	return error;
}

/** A look-up whose results are looked at before anybody connects to them. */
const checked =
	(lookup: Lookup): Lookup =>
	(name, options, callback) =>
		lookup(name, options, (error, results, family) => {
			const addresses: string[] = Array.isArray(results) ? results.map(({ address }) => address) : [results];
			const other = error === null ? addresses.find((address) => !isAllowed(address)) : undefined;
			callback(other === undefined ? error : refusal(`${other}, which is ${name}`), results, family);
		});

const original = {
	connect: net.Socket.prototype.connect,
	lookup: dns.lookup,
	promised: dns.promises.lookup,
	send: dgram.Socket.prototype.send,
};

net.Socket.prototype.connect = function (this: net.Socket, ...args: any[]) {
	// Node's own callers pass their options and callback as one list.
	const [first, second] = Array.isArray(args[0]) ? args[0] : args;
	const options = typeof first === 'object' ? first : { port: first, host: typeof second === 'string' ? second : undefined };
	const isPath = options.path !== undefined || (typeof first === 'string' && Number.isNaN(Number(first)));
	const host: string = options.host ?? 'localhost';
	if (!isPath && net.isIP(host) !== 0 && !isAllowed(host)) {
		process.nextTick(() => this.destroy(refusal(`${host}:${options.port}`)));
		return this;
	}
	if (options.lookup !== undefined) {
		options.lookup = checked(options.lookup);
	}
	return (original.connect as (...args: any[]) => net.Socket).apply(this, args);
} as typeof original.connect;

const isKnown = (name: string): boolean => !name || net.isIP(name) !== 0 || /^(.+\.)?localhost$/i.test(name);
const unknown = (hostname: string): Error =>
	Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND', errno: -3008, syscall: 'getaddrinfo', hostname });

dns.lookup = function (name: string, ...rest: any[]) {
	if (isKnown(name)) {
		return (original.lookup as (...args: any[]) => void)(name, ...rest);
	}
	process.nextTick(rest.at(-1) as Callback, unknown(name));
} as unknown as typeof dns.lookup;
dns.promises.lookup = async function (name: string, ...rest: any[]) {
	if (isKnown(name)) {
		return await (original.promised as (...args: any[]) => Promise<any>)(name, ...rest);
	}
	throw unknown(name);
} as typeof dns.promises.lookup;
// For resolvers that ask name servers themselves; nobody listens there.
dns.setServers(['127.0.0.1:1']);

dgram.Socket.prototype.send = function (this: dgram.Socket, ...args: any[]) {
	const address = args.find((argument, i) => i > 0 && typeof argument === 'string') as string | undefined;
	if (address !== undefined && net.isIP(address) !== 0 && !isAllowed(address)) {
		throw refusal(`${address} by UDP`);
	}
	return (original.send as (...args: any[]) => void).apply(this, args);
} as typeof original.send;

syncBuiltinESMExports();
