import { generateSessions, verifyFile } from '../harness/vectors/index.js';

const COUNT = 1000;

/**
 * 1,000 SRP vectors, each an exchange of its own with every intermediate value: made over the protocol layer, then
 * verified by the second implementation.
 * @throws when a vector does not hold.
 */
export function vectorLines(): string[] {
  const timed = <T>(name: string, work: () => T): { line: string; result: T } => {
    const started = performance.now();
    const result = work();
    const seconds = (performance.now() - started) / 1000;
    const each = ((1000 * seconds) / COUNT).toFixed(1);
    return { line: `${COUNT} SRP vectors, ${name}: ${seconds.toFixed(1)} s (${each} ms each)`, result };
  };
  const made = timed('generated', () => generateSessions('bench', COUNT));
  const verified = timed('verified', () => verifyFile(made.result));
  if (verified.result.length > 0) throw new Error(`a vector does not hold: ${verified.result[0]!.field}`);
  return [made.line, verified.line];
}
