import { findFault } from '../harness/accessory/index.js';
import { runTwin } from '../harness/runner/index.js';
import { suite } from '../suites/index.js';

/** A fault that makes sealed data, a signature, a proof or a key wrong as one of the trials describes. */
export interface Trial {
  readonly fault: string;
  /** The check that is red of it, and says how it came about. */
  readonly check: string;
  readonly words: RegExp;
  /** Further Pair Setups it may take; none where the bytes of the accessory say it. */
  readonly probes: number;
}

const trial = (fault: string, check: string, words: RegExp, probes = 0): Trial => ({
  fault,
  check,
  words,
  probes,
});

/** What the first occurrence has to say of each. */
export const trials: readonly Trial[] = [
  trial('public-key-from-hex-text', 'PS-M3-01', /B in M2 is hexadecimal text/),
  trial('code-without-dashes', 'PS-M3-01', /accepted only for the setup code without its dashes/, 1),
  trial('literal-k-and-u', 'PS-M3-01', /accepted only with k and u over unpadded values/, 2),
  trial('srp-user-in-lower-case', 'PS-M3-01', /accepted only for the SRP user name pair-setup/, 3),
  trial('public-key-little-endian', 'PS-M3-01', /only with B of M2 read least significant byte first/, 4),
  trial('echoes-controller-proof', 'PS-M3-03', /it is the proof of M3 sent back/),
  trial('server-proof-left-aligned', 'PS-M3-12', /it is H\(A at the front of 384 bytes \| M1 \| K\)/),
  trial('m5-nonce-label-first', 'PS-M5-01', /the nonce PS-Msg05 in front of its four zero bytes/, 1),
  trial('m5-key-of-pair-verify', 'PS-M5-01', /a key of the labels Pair-Verify-Encrypt/, 2),
  trial('m5-signature-under-own-labels', 'PS-M5-01', /over the X of the labels Pair-Setup-Accessory-Sign/, 3),
  trial('m6-sealed-as-m5', 'PS-M5-01', /it opens with the nonce PS-Msg05/),
  trial('m6-signature-other-order', 'PS-M6-01', /it holds over Identifier \| LTPK \| AccessoryX/),
  trial(
    'verify-signs-other-order',
    'PV-M2-01',
    /it holds over controller’s key \| Identifier \| accessory’s key/,
  ),
  trial('verify-m4-sealed', 'PV-M3-01', /they open as the first frame of the session/),
  trial('transient-m4-sealed', 'TRANSIENT-02', /they open as the first frame of the session/),
  trial('one-key-both-ways', 'SESS-01/keys', /it opens with the key of the other direction/),
  trial('counter-big-endian', 'SESS-02', /it opens with the counter as a big-endian number/),
  trial('one-counter-both-ways', 'SESS-02', /it opens with counter \d+/),
  trial('counter-restarts-with-each-reply', 'SESS-02', /it opens with counter 0/),
  trial('counter-once-per-reply', 'SESS-02', /it opens with counter \d+/),
  trial('seals-without-aad', 'SESS-04', /it opens with no additional data/),
  trial('mfi-nonce-of-m5', 'MFI-01', /it opens with the nonce PS-Msg05/),
  trial('mfi-sealed-with-session-key', 'MFI-01', /it opens with the key Control-Read/),
  trial('mfi-signs-k', 'MFI-04', /is over K itself/),
];

/** What a run that asks little else says of a fault first. */
export async function occurrence(
  { fault, check, words }: Trial,
  seed: number,
): Promise<{ named: boolean; said: string }> {
  const [requirement] = check.split('/');
  const selected = suite.filter(
    (entry) => entry.requirement.id === requirement || (entry.kind === 'check' && entry.spec.sanity === true),
  );
  const results = await runTwin(suite, selected, findFault(fault), { seed });
  const red = results.filter(({ status }) => status === 'fail');
  const first = red.find(({ message }) => words.test(message)) ?? red[0];
  return {
    named: first !== undefined && words.test(first.message),
    said: first?.message ?? 'nothing failed',
  };
}
