import { CONSTANTS } from '../../src/constants.ts';

/* Loaded before the service in a process of its own: gives its constants the values of the test that started it. */

Object.assign(CONSTANTS, JSON.parse(process.env['TEST_CONSTANTS'] ?? '{}'));
