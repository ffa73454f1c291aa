import { writeSync } from 'node:fs';
import { openState } from '../../harness/device/store.js';
import { controllerIdentity, hex, seededRandom } from '../../harness/protocol/index.js';

/**
 * A process for the store's tests: `remember DIR KEY SEED` remembers without end and says so after each return;
 * `lock DIR KEY` says `ready`, waits for a line, locks, says `locked` or why not, and waits again.
 */
const [task, dir, key, seed] = process.argv.slice(2) as [string, string, string, string?];
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

if (task === 'remember') {
  const random = seededRandom(seed!);
  const state = openState(dir, key);
  for (let i = 0; ; i++) {
    const identity = controllerIdentity(random);
    state.remember(identity, 'pair-setup');
    say(`remembered ${hex(identity.id)} ${hex(identity.ltsk)}`);
    if (i % 3 === 1) state.confirmed(identity, undefined);
    if (i % 3 !== 2) continue;
    // From here on nobody knows whether it is still there.
    say(`forgetting ${hex(identity.id)} ${hex(identity.ltsk)}`);
    state.forget(identity);
    // Rewrites the file, so that a kill may come then as well.
    if (i % 9 === 8) state.release();
  }
} else {
  say('ready');
  process.stdin.once('data', () => {
    try {
      openState(dir, key).lock();
      say('locked');
    } catch (error) {
      say((error as Error).message);
    }
    process.stdin.once('data', () => process.exit(0));
  });
}
