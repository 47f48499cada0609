/** Express 5 under a name of its own, beside the Express 4 that the tests' stand-in needs. What is used of it has the same types. */
declare module 'express5' {
	export { default } from 'express';
}
