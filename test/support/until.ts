import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until something has happened, by asking again and again: the one way in which tests wait.
 *
 * @param condition may throw, where what is waited for cannot happen any more
 * @param seconds after which the wait fails: by default fewer than the shortest time-out of the service's own (12 s for a login, 25 for the registry), which would bring about what its
 * client's going away should have
 * @param everyMs milliseconds between two questions
 * @throws Error that shows the condition, where it does not come to hold
 */
export async function until(condition: () => boolean | Promise<boolean>, { seconds = 10, everyMs = 5 } = {}): Promise<void> {
	for (const end = Date.now() + seconds * 1000; !(await condition()); await sleep(everyMs)) {
		assert.ok(Date.now() < end, `what was waited for did not happen: ${condition.toString()}`);
	}
}
