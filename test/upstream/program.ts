/*
 * The program in the sample images: a static Linux executable that prints one line and ends well, so that an image pulled
 * through the proxy can be run. It is put together by hand because no compiler may be assumed where the demo runs.
 */

export type Architecture = 'amd64' | 'arm64';

const LOAD_ADDRESS = 0x400000n;
const ELF_HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const CODE_OFFSET = ELF_HEADER_SIZE + PROGRAM_HEADER_SIZE;
/** e_machine values of the ELF specification. */
const MACHINE = { amd64: 62, arm64: 183 } as const;

/** @returns a statically linked ELF executable that writes `text` to its standard output. */
export function program(architecture: Architecture, text: string): Buffer {
	const message = Buffer.from(text);
	const code = architecture === 'amd64' ? amd64Code(message.length) : arm64Code(message.length);
	const size = BigInt(CODE_OFFSET + code.length + message.length);

	const header = Buffer.alloc(CODE_OFFSET);
	header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // "\x7fELF", 64 bit, little-endian, version 1
	header.writeUInt16LE(2, 16); // an executable
	header.writeUInt16LE(MACHINE[architecture], 18);
	header.writeUInt32LE(1, 20);
	header.writeBigUInt64LE(LOAD_ADDRESS + BigInt(CODE_OFFSET), 24); // entry point
	header.writeBigUInt64LE(BigInt(ELF_HEADER_SIZE), 32); // where the program headers are
	header.writeUInt16LE(ELF_HEADER_SIZE, 52);
	header.writeUInt16LE(PROGRAM_HEADER_SIZE, 54);
	header.writeUInt16LE(1, 56); // one of them:
	header.writeUInt32LE(1, 64); // load
	header.writeUInt32LE(5, 68); // read and execute
	header.writeBigUInt64LE(LOAD_ADDRESS, 80);
	header.writeBigUInt64LE(LOAD_ADDRESS, 88);
	header.writeBigUInt64LE(size, 96);
	header.writeBigUInt64LE(size, 104);
	header.writeBigUInt64LE(0x10000n, 112); // alignment that suits every page size
	return Buffer.concat([header, code, message]);
}

/** write(1, message, length); exit(0). The message follows the code. */
function amd64Code(length: number): Buffer {
	const CODE_SIZE = 33;
	const address = Number(LOAD_ADDRESS) + CODE_OFFSET + CODE_SIZE;
	return Buffer.from([
		0xb8,
		...uint32(1), // mov eax, 1 (write)
		0xbf,
		...uint32(1), // mov edi, 1
		0xbe,
		...uint32(address), // mov esi, message
		0xba,
		...uint32(length), // mov edx, length
		0x0f,
		0x05, // syscall
		0xb8,
		...uint32(60), // mov eax, 60 (exit)
		0x31,
		0xff, // xor edi, edi
		0x0f,
		0x05, // syscall
		0x90,
		0x90, // nop
	]);
}

function arm64Code(length: number): Buffer {
	const instructions = [
		0xd2800020, // mov x0, #1
		0x100000e1, // adr x1, message: 7 instructions ahead
		0xd2800002 | (length << 5), // mov x2, #length
		0xd2800808, // mov x8, #64 (write)
		0xd4000001, // svc #0
		0xd2800000, // mov x0, #0
		0xd2800ba8, // mov x8, #93 (exit)
		0xd4000001, // svc #0
	];
	return Buffer.from(instructions.flatMap((instruction) => uint32(instruction)));
}

function uint32(value: number): number[] {
	return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff];
}
